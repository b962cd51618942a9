"""The worker: runs tasks from SQS messages, or from the table where there is no SQS.

import domain.tasks
from decant.worker import lambda_handler

handler = lambda_handler()
"""

from decant.worker.poller import run_forever
from decant.worker.sqs_handler import lambda_handler

__all__ = ["lambda_handler", "run_forever"]
