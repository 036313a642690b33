"""Users with years of usage, in a database and a Redis that are still empty.

Run as `python -m benchmarks.membership_seed USERS WINDOWS ASKED` in the environment of the server;
prints one answer in JSON: the API keys of ASKED users, and a billing period that each has used.
"""

import json
import os
import sys
from typing import Final

MONTH_S: Final = 30 * 86400
FIRST_START: Final = 1_700_000_000
ROWS: Final = 5000


def main() -> None:
    """Seed, and print what the client needs."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "openrembg.server.settings"
    import django

    django.setup()
    from openrembg.server.database import prepare
    from openrembg.server.quota.redis_usage import rebuild_all

    prepare()
    users, windows, asked = map(int, sys.argv[1:])
    keys = _seed(users, windows, asked)
    if os.environ.get("REDIS_URL"):
        rebuild_all()
    json.dump({"keys": keys, "start": FIRST_START + MONTH_S}, sys.stdout)


def _seed(users: int, windows: int, asked: int) -> list[str]:
    from openrembg.server.accounts.keys import create_key
    from openrembg.server.accounts.models import User
    from openrembg.server.billing.models import FREE, Plan
    from openrembg.server.quota.models import Balance, Window
    from openrembg.server.quota.windows import calendar_month

    plan = Plan.objects.get(label=FREE)
    people = User.objects.bulk_create(
        (User(email=f"user{number}@example.com") for number in range(users)), ROWS
    )
    starts = [FIRST_START + number * MONTH_S for number in range(windows)]
    months = [calendar_month(2023 + number // 12, number % 12 + 1) for number in range(windows)]
    Balance.objects.bulk_create(
        (
            # The last period has not ended for a long time.
            Balance(user=user, plan=plan, period_start=starts[-1], period_end=4_000_000_000)
            for user in people
        ),
        ROWS,
    )
    ends = [*starts[1:], 4_000_000_000]
    for chunk in range(0, users, 500):
        Window.objects.bulk_create(
            [
                Window(user=user, kind=kind, start=start, end=end, app=number + 1, api=7)
                for user in people[chunk : chunk + 500]
                for number in range(windows)
                for kind, start, end in (
                    ("month", months[number].start, None),
                    ("cycle", starts[number], ends[number]),
                )
            ],
            ROWS,
        )
    return [create_key(user)[1].text for user in people[:asked]]


if __name__ == "__main__":
    main()
