"""Composition root: the resources of a process, built at first use and closed in reverse order.

    runtime.current().run(work())                            # on the process's event loop
    runtime.current().client(Mail, build, Mail.aclose)       # shared by all code on the event loop
    handler = runtime.current().lambda_function(handle)      # a Lambda handler around a coroutine function

A process has a default runtime. Another runtime, with its own settings, serves another application in the same
process. Every test has its own runtime:

    with Runtime({"DATABASE_URL": …}).active():
        handler = lambda_handler(app)

A client belongs to the event loop on which it was built. It is closed before that loop ends, so the same code works on
Lambda's loop, under an ASGI server, and on the short-lived loops of Flask's test client.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from decant import config, observability
from decant.event_loop import EventLoop, LoopClients, LoopThread

__all__ = ["Context", "Runtime", "current", "warm_up"]

log = logging.getLogger(__name__)


class Context(Protocol):
    """The part of Lambda's context object that workers read."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


@config.settings_group
class LambdaSettings:
    """Settings of the execution environment."""

    initialization_type: str = config.setting(
        "AWS_LAMBDA_INITIALIZATION_TYPE", config.text, "Set by Lambda", default="on-demand"
    )


_warm_ups: list[Callable[[], object]] = []


def warm_up(preparation: Callable[[], object]) -> None:
    """Register work to do before a SnapStart snapshot: imports and construction, no connections."""
    _warm_ups.append(preparation)


class _Active:
    """The block in which a runtime is current; as a generator it would cost a request 5 µs in place of 1."""

    __slots__ = ("_environment", "_runtime", "_token")

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def __enter__(self) -> "Runtime":
        self._token = _current.set(self._runtime)
        self._environment = config.current_environment.set(self._runtime.environment)
        return self._runtime

    def __exit__(self, *_error: object) -> None:
        config.current_environment.reset(self._environment)
        _current.reset(self._token)


class Runtime:
    """Settings, event loop and clients of a process, or of an application in it.

    Args:
        environ: Environment variables to read the settings from; None shares the settings of the process's runtime.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.environment = config.process_environment if environ is None else config.Environment(environ)
        self._loop: EventLoop | None = None
        self._turn = threading.Lock()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopClients] = WeakKeyDictionary()
        self._shared: dict[object, tuple[Any, Callable[[Any], object] | None]] = {}
        self._building = threading.RLock()
        self._endings: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def active(self) -> "_Active":
        """Make this the current runtime of a `with` block, and of the tasks that are started in it."""
        return _Active(self)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop, or else the runtime's own, which is then set as the thread's current loop."""
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            asyncio.set_event_loop(own := self._own_loop())
            return own

    def _own_loop(self) -> EventLoop:
        with self._building:
            if self._loop is None:
                self._loop = EventLoop()
            return self._loop

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end from synchronous code in any thread.

        It runs on the runtime's own loop, or on that of `run_in_thread` while another thread runs the own loop.

        Raises:
            RuntimeError: an event loop runs in this thread; use `await` there.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public function raises, which costs 1 µs
            work.close()
            raise RuntimeError("an event loop runs in this thread: use `await` instead")
        if self._turn.acquire(blocking=False):
            try:
                return (self._loop or self._own_loop()).run_until_complete(work)
            finally:
                self._turn.release()
        return self.run_in_thread(work)

    def run_in_thread[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on an event loop of another thread, which has connections of its own."""
        return self.get(LoopThread, LoopThread, LoopThread.close).run(work)

    def get[T](self, key: object, build: Callable[[], T], close: Callable[[T], object] | None = None) -> T:
        """The runtime's instance of a resource that belongs to no event loop, such as a thread pool.

        Args:
            key: Its key, which is its type in most cases.
            build: Makes it at first use.
            close: Releases it in `aclose`; it is built anew at its next use.
        """
        with self._building:
            if key not in self._shared:
                self._shared[key] = build(), close
            instance: T = self._shared[key][0]
        return instance

    def client[T](
        self, kind: type[T], build: Callable[[], T], close: Callable[[T], Awaitable[object]] | None = None
    ) -> T:
        """The runtime's instance of a client on the running event loop, or on its own loop when none runs.

        Args:
            kind: Its type, the key.
            build: Makes it at first use, without connecting.
            close: Closes it, before the loop ends or in `aclose`; it is built anew at its next use.
        """
        clients = self._on_loop()
        found = clients.built.get(kind)
        if found is None:
            found = clients.built[kind] = build()
            if close is not None:
                clients.closers.append(lambda: close(found))
        instance: T = found
        return instance

    def on_close(self, closer: Callable[[], Awaitable[object]]) -> None:
        """Register work for the end of the running event loop; the newest is called first."""
        self._on_loop().closers.append(closer)

    def _on_loop(self) -> LoopClients:
        loop = self.loop
        clients = self._clients.get(loop)
        if clients is None:
            clients = self._clients[loop] = LoopClients()
            if loop is not self._loop and loop.is_running():  # the own loop ends in `shut_down` alone
                clients.watch()
        return clients

    async def aclose(self) -> None:
        """Close the clients of the running loop, newest first, and then the resources that belong to no loop.

        Raises:
            ExceptionGroup: some could not be closed; all others are.
        """
        try:
            await self._on_loop().aclose()
        finally:
            with self._building:
                self._endings.clear()
                while self._shared:
                    _, (instance, close) = self._shared.popitem()
                    if close is not None:
                        close(instance)

    def shut_down(self) -> None:
        """Close every client of the own loop, and the loop with its tasks and timers; the next use makes a new loop.

        Raises:
            ExceptionGroup: some clients could not be closed; all others are, and the loop.
        """
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self.aclose())
        finally:
            self._loop = None

    def at_end(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Register work to do at the end of every invocation of a Lambda function, before the process is frozen."""
        self._endings.append(work)

    def end_invocation(self) -> None:
        """Do the work of `at_end`."""
        for work in self._endings:
            self.run(work())

    def start(self) -> None:
        """Prepare the process for its first event: settings, logging, SnapStart's hooks, the event loop.

        Raises:
            ConfigError: the settings are bad.
        """
        self.environment.check()
        observability.configure()
        if self.environment.load(LambdaSettings).initialization_type == "snap-start":
            self._register_snapshot_hooks()
        self.loop  # noqa: B018  # sets it as the thread's current loop

    def lambda_function[E, C, R](self, handle: Callable[[E, C], Coroutine[Any, Any, R]]) -> Callable[[E, C], R]:
        """A Lambda handler that runs a coroutine function on the runtime's loop.

        Args:
            handle: Takes the event and Lambda's context.
        Raises:
            ConfigError: the settings are bad.
        """
        self.start()

        def handler(event: E, context: C) -> R:
            with self.active():
                try:
                    return self.run(handle(event, context))
                finally:
                    self.end_invocation()

        return handler

    def _register_snapshot_hooks(self) -> None:
        from snapshot_restore_py import (  # noqa: PLC0415  # exists in Lambda's image alone
            register_after_restore,
            register_before_snapshot,
        )

        register_before_snapshot(self.before_snapshot)
        register_after_restore(self.after_restore)

    def before_snapshot(self) -> None:
        """Import modules and build clients that requests need, then close every connection and the event loop.

        Every environment starts as a copy of the snapshot. It must contain no connection, which all copies would
        share, and no timer of a clock that has moved on.

        Raises:
            ConfigError: a setting is missing or bad; the version is not published.
        Source: AWS Lambda Developer Guide, "Runtime hooks for Python".
        """
        with self.active():
            for preparation in _warm_ups:
                preparation()
            log.info("Ready for the snapshot")  # the first log line imports the formatter
            self.shut_down()

    def after_restore(self) -> None:
        """Take new random numbers, and read the environment again, which has credentials of this copy's own.

        The kernel's and OpenSSL's random numbers, which `secrets` and `uuid4` use, are renewed by AWS.

        Source: AWS Lambda Developer Guide, "Handling uniqueness with Lambda SnapStart".
        """
        random.seed()
        self.reload()

    def reload(self) -> None:
        """Read the settings again at their next use."""
        self.environment.reload()


_process = Runtime()
_current: ContextVar[Runtime] = ContextVar("decant_runtime", default=_process)


def current() -> Runtime:
    """The runtime of this request, task or test; the process's by default."""
    return _current.get()
