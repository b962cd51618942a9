"""Threads in which the plain functions of tasks and steps run."""

from concurrent.futures import ThreadPoolExecutor

from decant import runtime

__all__ = ["task_threads"]

_MOST_THREADS = 2**31


class _TaskThreads(ThreadPoolExecutor):
    """Threads of the runtime.

    Runs have their own limit, `TASK_CONCURRENCY`. The pool has none, so that a thread which continues after the time
    limit of its run does not delay other runs.
    """

    def __init__(self) -> None:
        super().__init__(_MOST_THREADS, thread_name_prefix="task")

    def close(self) -> None:
        self.shutdown(wait=False, cancel_futures=True)


def task_threads() -> ThreadPoolExecutor:
    """The threads of the current runtime."""
    return runtime.current().get(_TaskThreads, _TaskThreads, _TaskThreads.close)
