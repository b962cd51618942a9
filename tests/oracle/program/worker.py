"""What the worker imports: the app and the tasks of all cases."""

from tests.oracle.program import apps, calls, failures, signals, workflows
from tests.oracle.program.app import app

__all__ = ["app", "apps", "calls", "failures", "signals", "workflows"]
