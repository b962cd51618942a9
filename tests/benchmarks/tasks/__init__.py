"""Durable tasks against Celery, on one machine in one run: `make bench-tasks`."""
