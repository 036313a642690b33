"""What one server process holds: its model, its slots, its limits."""

import threading
from dataclasses import dataclass

from django.conf import settings

from openrembg.matting.runtime import available_cores
from openrembg.server.inference.backend import Backend, backend_for
from openrembg.server.inference.slots import Slots
from openrembg.server.quota.database_storage import DatabaseStorage
from openrembg.server.quota.rates import Rates
from openrembg.server.quota.storages import Storages, storages_for
from openrembg.server.settings import Settings

MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that live as long as the process."""

    backend: Backend
    slots: Slots
    rates: Rates
    estimate_foreground: bool = True


def build(chosen: Settings) -> Service:
    """Return a service as the settings describe it. Nothing is loaded or connected yet."""
    return Service(
        backend=backend_for(chosen),
        slots=Slots(
            workers=workers(chosen),
            max_pixels=chosen.pixel_budget * MEGA,
            max_waiting=chosen.queue,
            timeout_s=chosen.queue_timeout_s,
        ),
        rates=Rates(
            _storages(chosen),
            per_minute=chosen.anonymous_per_minute,
            per_day=chosen.anonymous_per_day,
        ),
        estimate_foreground=chosen.edge_colors == "on",
    )


def _storages(chosen: Settings) -> Storages:
    if chosen.limits_store == "database":
        return Storages(DatabaseStorage())
    return storages_for(chosen.redis_url if chosen.limits_store == "redis" else None)


def workers(chosen: Settings) -> int:
    """Return how many pictures are computed at once."""
    return chosen.workers_on(available_cores())


_lock = threading.Lock()
_installed: Service | None = None


def service() -> Service:
    """Return this process's service, built at the first call."""
    if _installed is None:
        with _lock:
            if _installed is None:
                install(build(settings.OPENREMBG))
    assert _installed is not None  # noqa: S101 (for the type checker)
    return _installed


def install(new: Service | None) -> None:
    """Put another service in the place of this process's; None builds afresh when next asked."""
    global _installed
    _installed = new
