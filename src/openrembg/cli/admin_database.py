"""The database, opened for one verb: what goes wrong becomes a sentence and an exit code."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from openrembg.cli.admin_arguments import line
from openrembg.cli.terminal import USAGE, shown, stop

if TYPE_CHECKING:
    from openrembg.server.accounts.models import User

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's e-mail address.")]

# The table that every database of ours has.
_ACCOUNTS: Final = "accounts_user"


def made() -> None:
    """Put every table in place, in a database that may be new."""
    from openrembg.server.database import prepare

    prepare()


def found() -> None:
    """Put every table in place where there is a database already; else say so and leave.

    For verbs that only read: of a new database all is true that they say, and nothing meant.
    """
    from django.db import connection

    if connection.vendor == "postgresql" and _is_new(connection.get_connection_params()):
        stop("There is no database of openrembg's at DATABASE_URL.")
    as_it_is()
    made()


def as_it_is() -> None:
    """Change nothing; without a SQLite database where it should be, say so and leave."""
    from django.db import Error, connection

    if connection.vendor != "sqlite":
        return
    file = Path(str(connection.settings_dict["NAME"]))
    is_there = file.is_file() and file.stat().st_size > 0
    # What is no database at all is said by whoever reads it next.
    with suppress(Error):
        is_there = is_there and _ACCOUNTS in connection.introspection.table_names()
    if not is_there:
        stop(f"There is no database at {shown(file)}. Is OPENREMBG_DATA_DIR right?")


@contextmanager
def opened(begin: Callable[[], None] = made) -> Iterator[None]:
    """Let a verb use Django's models. begin: what is done first, `made`, `found` or `as_it_is`."""
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

    from openrembg.server.errors import AccountGone

    try:
        begin()
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


def _is_new(parameters: Mapping[str, Any]) -> bool:
    """Return whether PostgreSQL answers and has no tables of ours. Nothing is logged of it."""
    # Not before: with SQLite nobody needs it.
    import psycopg

    with suppress(psycopg.Error), psycopg.connect(**parameters) as connection:
        return connection.execute("SELECT to_regclass(%s)", [_ACCOUNTS]).fetchone() == (None,)
    return False


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
