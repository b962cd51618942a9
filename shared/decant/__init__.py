"""Decant pours a Flask app into functions: an ASGI bridge, shared clients and durable tasks for AWS Lambda."""
