"""The database, opened for one verb: what goes wrong becomes a sentence and an exit code."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from openrembg.cli.admin_arguments import line
from openrembg.cli.terminal import USAGE, shown, stop

if TYPE_CHECKING:
    from openrembg.server.accounts.models import User

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's e-mail address.")]


@contextmanager
def opened() -> Iterator[None]:
    """Let a verb use Django's models, with every table in place."""
    if any(find_spec(package) is None for package in ("django", "allauth")):
        stop("The server's packages are not installed: pip install 'openrembg[server]'")
    from openrembg.server.environment import DatabaseUnusable, SettingsError

    try:
        _set_up()
    except SettingsError as error:
        stop(str(error), USAGE)
    # Not before: these need Django's settings.
    from django.core.exceptions import ObjectDoesNotExist
    from django.db import Error, connections

    from openrembg.server.database import prepare
    from openrembg.server.errors import AccountGone

    try:
        prepare()
        yield
    except DatabaseUnusable as error:
        stop(str(error))
    except (AccountGone, ObjectDoesNotExist):
        stop("Somebody has deleted this meanwhile.")
    except Error as error:
        stop(f"The database failed: {(str(error) or type(error).__name__).splitlines()[0]}")
    finally:
        connections.close_all()


def find_user(email: str) -> "User":
    """Return the user with an address, written in any case; without one, say so and leave."""
    from openrembg.server.accounts.models import User

    address = line(email, "address", 254)
    try:
        return User.objects.get_by_natural_key(address)
    except User.DoesNotExist:
        stop(f"There is no user {shown(address)}.")


def _set_up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openrembg.server.settings")
    import django
    from django.apps import apps
    from django.conf import settings

    if apps.ready:
        return
    # One verb needs one connection, and no threads that keep more of them.
    settings.DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
    # The API's framework has no tables, and takes its time to load.
    settings.INSTALLED_APPS.remove("ninja")
    django.setup()
    logging.getLogger("openrembg").setLevel(logging.WARNING)
