"""SQS: closes tasks whose messages came back too often."""

from decant.worker.dead_letters import lambda_handler

handler = lambda_handler()
