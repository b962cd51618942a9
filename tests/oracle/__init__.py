"""Celery as the oracle of `decant.celery`."""
