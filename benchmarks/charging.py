"""Charge credits as fast as the database takes them, as requests do it, and nothing else.

Run as `python -m benchmarks.charging JOB` in the environment of a server, the job in JSON; prints
one answer in JSON. A job without seconds makes the users and prints the numbers of their keys.
"""

import datetime as dt
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

PLENTY: Final = 1_000_000_000
LASTS: Final = dt.timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Job:
    """Who pays, and for how long. payers: numbers of users and their keys.

    threads: so many connections charge at once; each has its own users, or all share the one.
    """

    payers: list[tuple[int, int]]
    threads: int
    seconds: float
    users: int = 0


def main() -> None:
    """Do the job that the first argument tells."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "openrembg.server.settings"
    import django

    django.setup()
    from openrembg.server.database import prepare

    prepare()
    job = Job(**json.loads(sys.argv[1]))
    json.dump(_charge(job) if job.seconds else _users(job.users), sys.stdout)


def _users(number: int) -> list[tuple[int, int]]:
    from openrembg.server.accounts.keys import create_key
    from openrembg.server.accounts.models import User
    from openrembg.server.billing.models import Plan
    from openrembg.server.quota.models import Balance

    plan = Plan.objects.create(label="sizing", credits=PLENTY, per_minute=PLENTY)
    people = User.objects.bulk_create(
        User(email=f"sizing{one}@example.com") for one in range(number)
    )
    Balance.objects.bulk_create(Balance(user=user, plan=plan) for user in people)
    return [(user.pk, create_key(user)[0].pk) for user in people]


def _charge(job: Job) -> dict[str, Any]:
    from openrembg.server.quota import receipts

    stop = receipts.start()
    counts, begin = [0] * job.threads, threading.Barrier(job.threads + 1)
    threads = [
        threading.Thread(target=_client, args=(job, number, counts, begin))
        for number in range(job.threads)
    ]
    for thread in threads:
        thread.start()
    begin.wait()
    before, clock = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.join()
    seconds, used = time.perf_counter() - clock, time.process_time() - before
    stop()
    return {"charges": sum(counts), "seconds": seconds, "processor_s": used}


def _client(job: Job, number: int, counts: list[int], begin: threading.Barrier) -> None:
    from django.utils import timezone

    from openrembg.server.database import give_back_connection
    from openrembg.server.quota import receipts, spending
    from openrembg.server.quota.models import Balance
    from openrembg.server.quota.spending import Payer

    own = job.payers[number :: job.threads] or job.payers
    payers = [Payer(user, "api", key) for user, key in own]
    balances = Balance.objects.select_related("plan").in_bulk([one.user_id for one in payers])
    desk = receipts.running()
    assert desk is not None
    begin.wait()
    until = time.perf_counter() + job.seconds
    while time.perf_counter() < until:
        payer = payers[counts[number] % len(payers)]
        now = timezone.now()
        hold = spending.reserve(payer, now, LASTS, balances[payer.user_id])
        # As a request does, which gives its connection back while it waits for a worker.
        give_back_connection()
        receipt = desk.for_credit(hold.id, payer.user_id)
        spending.charge(hold, now, until_sent=True)
        receipt.delivered()
        give_back_connection()
        counts[number] += 1


if __name__ == "__main__":
    main()
