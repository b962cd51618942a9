"""SQS: closes tasks whose messages were dead-lettered."""

from decant.worker.dead_letters import lambda_handler

handler = lambda_handler()
