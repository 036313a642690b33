import datetime as dt
import threading
import time

import pytest
from django.utils import timezone

from openrembg.server import upkeep
from openrembg.server.quota import ledger
from openrembg.server.quota.database_storage import DatabaseStorage
from openrembg.server.quota.models import RateCount, Reservation
from people import person

pytestmark = pytest.mark.usefixtures("database")


def test_it_gives_back_what_is_overdue_and_forgets_what_is_old() -> None:
    ada = person()
    ledger.reserve(ada.by_key, timezone.now(), dt.timedelta(0))
    ledger.reserve(ada.by_key, timezone.now(), dt.timedelta(hours=1))
    DatabaseStorage().incr("old", 0)
    upkeep.tidy(timezone.now())
    assert Reservation.objects.count() == 1
    assert not RateCount.objects.exists()


def test_it_runs_until_it_is_stopped() -> None:
    ada = person()
    ledger.reserve(ada.by_key, timezone.now(), dt.timedelta(0))
    stop = upkeep.start(every_s=0.05)
    deadline = time.monotonic() + 20
    while Reservation.objects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stop()
    assert "upkeep" not in [thread.name for thread in threading.enumerate()]
    ledger.reserve(ada.by_key, timezone.now(), dt.timedelta(0))
    time.sleep(0.2)
    assert Reservation.objects.count() == 1
