"""`openrembg admin verify-ledger`, `rebuild-redis`: the truth, and the copy that is made of it."""

import typer

from openrembg.cli.admin_database import opened
from openrembg.cli.terminal import say, shown, stop


def verify_ledger() -> None:
    """Compare every account with its ledger, and name all that does not fit."""
    with opened():
        from openrembg.server.quota.verify import account_ids, mismatches

        numbers, wrong = account_ids(), set()
        for number in numbers:
            for what in mismatches(number):
                typer.echo(f"{_whose(number)}\t{what}")
                wrong.add(number)
    if wrong:
        stop(f"{len(wrong)} of {len(numbers)} accounts do not match their ledger.")
    say(f"{len(numbers)} accounts match their ledger.")


def rebuild_redis() -> None:
    """Write everybody's usage into Redis anew, from the database."""
    with opened():
        from openrembg.server.quota.redis_usage import RedisUnusable, rebuild_all

        try:
            count = rebuild_all()
        except RedisUnusable as error:
            stop(str(error))
        say(f"The usage of {count} users is in Redis.")


def _whose(number: int) -> str:
    from openrembg.server.accounts.models import User

    email = User.objects.filter(pk=number).values_list("email", flat=True).first()
    return f"user {number}, {'deleted' if email is None else shown(email)}"
