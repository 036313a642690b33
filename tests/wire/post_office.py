"""A mail server as a process: python post_office.py PORT FOLDER none|starttls|tls [CERT] USER PASS.

It writes each mail into a file, and takes none without the password where there is security.
"""

import asyncio
import ssl
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Folder:
    """Writes mails into files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        path = self._folder / f"{time.time_ns()}.eml"
        path.with_suffix(".part").write_bytes(envelope.content or b"")  # type: ignore[arg-type]
        path.with_suffix(".part").rename(path)
        return "250 taken"


async def main(port: int, folder: Path, security: str, *words: str) -> None:
    """Serve for ever."""
    certificate, user, password = words if security != "none" else ("", *words)
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    def allowed(_server: object, _session: object, _envelope: object, _kind: str, data: object):  # type: ignore[no-untyped-def]
        right = LoginPassword(user.encode(), password.encode())
        return AuthResult(success=data == right, handled=False)

    def connection() -> SMTP:
        is_guarded = context is not None
        return SMTP(
            Folder(folder),
            hostname="post.example",
            authenticator=allowed if is_guarded else None,
            auth_required=is_guarded,
            auth_require_tls=security == "starttls",
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
        )

    loop = asyncio.get_running_loop()
    over_tls = context if security == "tls" else None
    await loop.create_server(connection, "127.0.0.1", port, ssl=over_tls)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
