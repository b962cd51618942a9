"""Plain Celery programs: the cases of the oracle. They import `celery`, which is real or `decant.celery`."""
