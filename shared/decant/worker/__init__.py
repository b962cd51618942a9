"""The worker: runs tasks that SQS announces, or straight from the table where there is no SQS.

import domain.tasks
from decant.worker import lambda_handler

handler = lambda_handler()
"""

from decant.worker.messages import lambda_handler
from decant.worker.serve import run_forever

__all__ = ["lambda_handler", "run_forever"]
