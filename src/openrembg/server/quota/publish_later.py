"""Let Redis tell of a change once it is kept, where there is a Redis.

Without one, nothing of Redis is loaded, which a verb of `openrembg admin` would wait for.
"""

from functools import partial

from django.conf import settings
from django.db import transaction

from openrembg.server.quota import publisher


def publish_after_commit(user_id: int) -> None:
    """Write what the user has into Redis once the present transaction is kept, if there is one.

    In a server a thread does it, a moment later.
    """
    if settings.OPENREMBG.redis_url is not None:
        transaction.on_commit(partial(_publish_soon, user_id), robust=True)


def publish_plan_after_commit(plan_id: int) -> None:
    """Write what the users of a plan have into Redis once its change is kept."""
    if settings.OPENREMBG.redis_url is not None:
        transaction.on_commit(partial(_publish_plan, plan_id), robust=True)


def _publish_soon(user_id: int) -> None:
    from openrembg.server.quota.redis_usage import publish

    beside = publisher.running()
    if beside is None:
        publish(user_id)
    else:
        beside.add(user_id)


def _publish_plan(plan_id: int) -> None:
    from openrembg.server.quota.redis_usage import publish_plan

    publish_plan(plan_id)
