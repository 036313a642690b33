"""The spans of a request, for whoever traces: without a tracer each of these does nothing.

OpenTelemetry is imported by traces.py alone, which puts a tracer here when it is chosen.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]


class RequestSpan(Protocol):
    """The span of one request."""

    @property
    def trace_id(self) -> str:
        """The id of the trace that the span belongs to, 32 hexadecimal digits."""

    def answered(self, method: str, route: str, status: int, about: Attributes) -> None:
        """Say what the request was and how it was answered."""


class Tracer(Protocol):
    """What makes spans. None of it may raise, or wait for anybody."""

    def request(self, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan]:
        """Trace the block as one request, in the trace that its headers name if they do."""

    def child(self, name: str) -> AbstractContextManager[None]:
        """Trace the block as a part of what is being traced."""

    def past(self, name: str, began_ns: int, seconds: float, about: Attributes) -> None:
        """Trace what is over already. began_ns: since the epoch."""


_NOTHING: Final = nullcontext()
_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """Let this process's spans be made by a tracer; None: there are none."""
    global _tracer
    _tracer = tracer


def request(headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan | None]:
    """Trace the block as one request; yields None when nobody traces."""
    return _NOTHING if _tracer is None else _tracer.request(headers)


def child(name: str) -> AbstractContextManager[None]:
    """Trace the block as a part of the request."""
    return _NOTHING if _tracer is None else _tracer.child(name)


def past(name: str, began_ns: int, seconds: float, **about: Attribute) -> None:
    """Trace a part of the request that is over already. began_ns: since the epoch."""
    if _tracer is not None:
        _tracer.past(name, began_ns, seconds, about)
