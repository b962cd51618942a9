"""`decant celery check`: what of Celery code differs under `decant.celery`, and what must change."""
