"""Limit the requests of each caller to a view whose work is expensive.

    @app.post("/users")
    @limit_per_caller
    async def users_create(): ...

A caller above the limit receives 429 with `Retry-After`. The caller is the subject that API Gateway's authorizer has
verified, the API key, or the client's address, in this order. Behind a proxy, the address is the client's with
Werkzeug's `ProxyFix`.

Requests are counted in the process. In Lambda every execution environment counts its own, and the usage plan and the
firewall of `infra/edge.yaml` limit a caller over all environments. `make check-deploy` compares their routes with the
views that have this decorator.

The package `limits` counts too. Its import takes 58 ms, and its memory store starts a thread.

Source: RFC 6585 section 4 (status 429), ITU-T I.371 (the generic cell rate algorithm).
"""

import math
import threading
import time
from collections.abc import Callable
from functools import partial, wraps
from inspect import iscoroutinefunction, markcoroutinefunction
from typing import Any, overload

from flask import request
from werkzeug.exceptions import TooManyRequests

from decant import runtime
from decant.config import load
from decant.web.defaults import WebSettings

__all__ = ["gateway_caller", "limit_per_caller"]

_WINDOW_S = 60
_MAX_CALLERS = 10_000
_ROUNDING_S = 1e-6


type View = Callable[..., Any]


@overload
def limit_per_caller[F: View](view: F) -> F: ...
@overload
def limit_per_caller[F: View](*, per_minute: int) -> Callable[[F], F]: ...
def limit_per_caller(view: View | None = None, *, per_minute: int | None = None) -> View:
    """Limit the requests of each caller to a view; the caller above it receives 429 with `Retry-After`.

    Args:
        view: The view, sync or async.
        per_minute: Requests a minute, all of which may come at once; None for the setting CALLER_RATE_PER_MINUTE.
    Raises:
        TooManyRequests: 429, in the view's place.
    """
    if view is None:
        return partial(limit_per_caller, per_minute=per_minute)

    @wraps(view)
    def limited(*args: Any, **kwargs: Any) -> Any:
        limit = load(WebSettings).caller_rate_per_minute if per_minute is None else per_minute
        if limit:
            wait_s = (
                runtime.current().get(_Counts, _Counts).add((limited, gateway_caller() or request.remote_addr), limit)
            )
            if wait_s:
                raise TooManyRequests(f"At most {limit} requests a minute are accepted here.", retry_after=wait_s)
        return view(*args, **kwargs)

    return markcoroutinefunction(limited) if iscoroutinefunction(view) else limited


def gateway_caller() -> str:
    """The caller that API Gateway has verified: the token's subject or the API key; empty when it verified none."""
    context = request.environ.get("aws.event", {}).get("requestContext", {})
    verified = (context.get("authorizer") or {}).get("principalId") or (context.get("identity") or {}).get("apiKeyId")
    return verified or ""


class _Counts:
    """The time at which all requests of a caller will be available again, by caller."""

    def __init__(self) -> None:
        self._full_at_s: dict[object, float] = {}
        self._lock = threading.Lock()  # views run in threads

    def add(self, caller: object, limit: int) -> int:
        """Count a request.

        Returns:
            0, or the seconds after which the next request will be accepted when this one is not.
        """
        step_s = _WINDOW_S / limit
        with self._lock:
            now = time.monotonic()
            full_at_s = max(self._full_at_s.pop(caller, now), now)
            wait_s = full_at_s + step_s - now - _WINDOW_S
            accepted = wait_s < _ROUNDING_S
            self._full_at_s[caller] = full_at_s + step_s if accepted else full_at_s
            if len(self._full_at_s) > _MAX_CALLERS:
                del self._full_at_s[next(iter(self._full_at_s))]  # it has not sent a request for the longest time
        return 0 if accepted else math.ceil(wait_s)
