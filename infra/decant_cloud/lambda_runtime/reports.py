"""The lines that Lambda itself writes into a function's log."""

import math
from dataclasses import dataclass

from decant_cloud.lambda_runtime.invocation_errors import Fault

__all__ = ["Usage", "end", "init_failed", "init_start", "report", "start"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one invocation used; `init_s` when an init phase came before it."""

    duration_s: float
    init_s: float | None
    memory_mb: int
    peak_memory_bytes: int


def init_start() -> str:
    """The init phase begins."""
    return "INIT_START Runtime Version: python:3.13"


def init_failed(phase: str, duration_s: float, fault: Fault) -> str:
    """An init ended without the runtime asking for an event; the phase is `init` or `invoke`."""
    return f"INIT_REPORT Init Duration: {duration_s * 1000:.2f} ms\tPhase: {phase}{fault.status}"


def start(request_id: str, version: str) -> str:
    """An invocation begins."""
    return f"START RequestId: {request_id} Version: {version}"


def end(request_id: str) -> str:
    """An invocation ended."""
    return f"END RequestId: {request_id}"


def report(request_id: str, usage: Usage, fault: Fault | None) -> str:
    """What an invocation took; init is billed too, where one came before it."""
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {usage.duration_s * 1000:.2f} ms",
        f"Billed Duration: {math.ceil((usage.duration_s + (usage.init_s or 0)) * 1000)} ms",
        f"Memory Size: {usage.memory_mb} MB",
        f"Max Memory Used: {min(math.ceil(usage.peak_memory_bytes / 1024 / 1024), usage.memory_mb)} MB",
    ]
    if usage.init_s is not None:
        fields.append(f"Init Duration: {usage.init_s * 1000:.2f} ms")
    return "\t".join(fields) + (fault.status if fault else "")
