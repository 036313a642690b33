"""How this process stands, and how all do that answer as one server."""

import os
from dataclasses import replace
from typing import Protocol

from django.conf import settings

from openrembg.server.observability.arrears import last_seen
from openrembg.server.processes.board import Standing
from openrembg.server.processes.fill import NO_CLUSTER, Fill
from openrembg.server.processes.membership import place
from openrembg.server.quota import receipts
from openrembg.server.quota.redis_usage import shared_usage
from openrembg.server.service import MEGA, service, workers
from openrembg.server.settings import Settings


class Front(Protocol):
    """The part of a server that holds connections and bodies: serve.Server is one."""

    def fill(self) -> Fill:
        """Return what it holds now, and the most that it may."""


_front: Front | None = None


def watch(front: Front) -> None:
    """Let this process's numbers tell of a server."""
    global _front
    _front = front


def standing() -> Standing:
    """Return what this process computes now, and with what."""
    load, state = service().slots.load(), service().backend.state()
    return Standing(
        pid=os.getpid(),
        is_ready=state.status == "ready",
        computing=load.computing,
        waiting=load.waiting,
        pixels_in_flight=load.pixels_in_flight,
        model=state.model,
        provider=state.provider,
        fill=_fill(settings.OPENREMBG),
    )


def standings() -> tuple[Standing, ...]:
    """Return how all processes stand: this one now, the others about a second ago.

    None that hangs is among them.
    """
    mine = place()
    if mine is None:
        return (standing(),)
    mine.board.write(mine.membership.index, standing())
    return tuple(one for _, one in mine.board.standings())


def _fill(chosen: Settings) -> Fill:
    desk, shared, late = receipts.running(), shared_usage(), last_seen()
    replicas, is_remote = service().backend.state().replicas, chosen.inference == "ray"
    return replace(
        Fill() if _front is None else _front.fill(),
        workers=workers(chosen),
        queue_limit=chosen.queue,
        pixel_limit=chosen.pixel_budget * MEGA,
        sending=0 if desk is None else desk.sending,
        unwritten=0 if desk is None else desk.unwritten,
        limits_away=int(service().rates.is_away),
        usage_away=int(shared is not None and shared.is_away),
        # Of a cluster that cannot be asked, none can be used.
        replicas=replicas or 0 if is_remote else NO_CLUSTER,
        least_replicas=chosen.ray_min_replicas if is_remote else 0,
        overdue_reservations=late.reservations,
        overdue_deliveries=late.deliveries,
        waiting_mails=late.mails,
        waiting_payments=late.payments,
    )
