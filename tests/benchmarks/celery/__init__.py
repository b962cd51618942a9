"""`decant.celery` beside Celery with Redis, with synchronous tasks and callers: `make bench-celery`."""
