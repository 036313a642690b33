"""A real server that holds everything the pages of the site can show."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from databases import Sqlite, connected_to
from services import Service, openrembg_server
from site_people import SELLING, Cast, gathered


@contextmanager
def site_server(folder: Path, **environment: str) -> Iterator[tuple[Service, Cast]]:
    """Run a server that sells, and let this process write into its database.

    It signs with this process's key, so that sessions and links made here are good there.
    """
    ours = {"SECRET_KEY": str(settings.SECRET_KEY), **SELLING, **environment}
    with (
        openrembg_server(folder, ours) as server,
        connected_to(Sqlite(folder / "data" / "openrembg.db")),
    ):
        yield server, gathered()
