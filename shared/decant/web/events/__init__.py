"""Lambda's HTTP events: a class per kind, which reads the event and builds the response.

Every class satisfies Mangum's `LambdaHandler` protocol and can be among Mangum's `custom_handlers`.
"""
