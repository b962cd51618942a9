"""Figures of public Celery projects and Flask applications: `make verify-apps APPS=a-folder`."""
