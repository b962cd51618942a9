"""Once a minute: announces tasks that wait, takes them from lost workers, starts periodic ones, deletes old rows."""

import domain.tasks  # noqa: F401  # importing them makes their schedules known
from decant.worker.sweeper import lambda_handler

handler = lambda_handler()
