"""API Gateway's authorizer: allows the requests of callers whose token is valid."""

from decant.authorizer import lambda_handler

handler = lambda_handler()
