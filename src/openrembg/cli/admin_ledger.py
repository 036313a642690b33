"""`openrembg admin verify-ledger`, `rebuild-redis`: the truth, and the copy that is made of it."""

from typing import Annotated

import typer

from openrembg.cli.admin_database import found, opened
from openrembg.cli.terminal import say, shown, stop


def verify_ledger() -> None:
    """Compare every account with its ledger, and name all that does not fit."""
    with opened(found):
        number, wrong = report_mismatches()
    if wrong:
        stop(f"{wrong} of {number} accounts do not match their ledger.")
    say(f"{number} accounts match their ledger.")


def report_mismatches() -> tuple[int, int]:
    """Print what does not fit; return how many accounts there are, and how many do not match."""
    from openrembg.server.quota.verify import account_ids, mismatches

    numbers, wrong = account_ids(), set()
    for number in numbers:
        for what in mismatches(number):
            typer.echo(f"{_whose(number)}\t{what}")
            wrong.add(number)
    return len(numbers), len(wrong)


def rebuild_redis(
    empty: Annotated[
        bool, typer.Option("--empty", help="Delete all that this Redis database has first.")
    ] = False,
) -> None:
    """Write everybody's usage into Redis anew, from the database."""
    with opened(found):
        from openrembg.server.quota.redis_usage import RedisUnusable, rebuild_all

        try:
            count = rebuild_all(empties=empty)
        except RedisUnusable as error:
            stop(str(error))
        say(f"The usage of {count} users is in Redis.")


def _whose(number: int) -> str:
    from openrembg.server.accounts.models import User

    email = User.objects.filter(pk=number).values_list("email", flat=True).first()
    return f"user {number}, {'deleted' if email is None else shown(email)}"
