"""Measures of idempotent requests and of the OpenAPI document."""
