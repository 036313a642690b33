"""The connections of a client: httpx2's, kept alive, through the environment's proxies."""

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx2

from openrembg.client.errors import ConnectionFailed, InputError
from openrembg.client.line import ListeningBackend

CLOSED: Final = "The client is closed."
CONNECT_S: Final = 30.0
KEEP_ALIVE_S: Final = 5.0
MAX_KEPT: Final = 20


class Connections:
    """httpx2's client, made when it is first needed. It keeps no cookies and follows nothing."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None
        self._closed = False

    def client(self) -> httpx2.AsyncClient:
        """Return the client.

        Raises InputError for an unusable proxy or unusable certificates in the environment, and
        ConnectionFailed when all is closed.
        """
        if self._closed:
            raise ConnectionFailed(CLOSED, may_pass=False, reached=False)
        if self._client is None:
            self._client = _made()
            _let_it_listen(self._client)
        return self._client

    async def aclose(self) -> None:
        """Close every connection, also those in use, for good."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()


def _made() -> httpx2.AsyncClient:
    try:
        trusted = httpx2.create_ssl_context()
    except OSError as error:
        raise InputError("The certificates of SSL_CERT_FILE cannot be read.") from error
    try:
        return httpx2.AsyncClient(
            verify=trusted,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"Accept-Encoding": "identity"},
            # The call has a time of its own, which covers everything.
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            limits=httpx2.Limits(
                max_connections=None,
                max_keepalive_connections=MAX_KEPT,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise InputError(
            "The proxy that the environment names must be http:// or https://."
        ) from error


def _let_it_listen(client: httpx2.AsyncClient) -> None:
    """Open its lines by `ListeningBackend`.

    httpx2 2.16 has no argument for that, only its httpcore2 has; tests/client/test_client_faults.py
    sees when these names change.
    """
    lines = ListeningBackend()
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx2.AsyncHTTPTransport):
            transport._pool._network_backend = lines
