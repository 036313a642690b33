"""Mails handed to a real mail server, over the ways that EMAIL_URL knows."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from outbox import Mail, parsed
from services import HOST, Service, StartServer, free_port

pytestmark = pytest.mark.wire

POST_OFFICE = Path(__file__).with_name("post_office.py")
USER, PASSWORD = "clerk", "s p@ce:and/more"


@dataclass(frozen=True, slots=True)
class PostOffice:
    """A running mail server and what it has taken."""

    port: int
    folder: Path

    def mails(self, wanted: int = 1) -> list[Mail]:
        """Return the mails, the oldest first; wait a little until there are so many."""
        deadline = time.monotonic() + 10
        while len(found := sorted(self.folder.glob("*.eml"))) < wanted:
            assert time.monotonic() < deadline, f"{len(found)} of {wanted} mails came"
            time.sleep(0.05)
        return [parsed(path.read_bytes()) for path in found]


Open = Callable[..., PostOffice]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    file = tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", file, "-out", file], check=True, capture_output=True)
    return file


@pytest.fixture
def post_office(tmp_path: Path) -> Iterator[Open]:
    """A function that starts a mail server: post_office("tls", certificate)."""
    started: list[subprocess.Popen[bytes]] = []

    def start(security: str = "none", certificate: Path | None = None) -> PostOffice:
        port, folder = free_port(), tmp_path / "mails"
        folder.mkdir()
        command = [sys.executable, str(POST_OFFICE), str(port), str(folder), security]
        command += [str(certificate)] if certificate else []
        process = subprocess.Popen([*command, USER, PASSWORD], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdout.close()
        return PostOffice(port, folder)

    yield start
    for process in started:
        process.kill()
        process.wait()


def sign_up(server: Service, address: str = "ada@example.com") -> requests.Response:
    """Sign up as a browser does, with cookies and the form's token."""
    with requests.Session() as browser:
        url = f"{server.url}/ko/account/signup/"
        token = browser.get(url, timeout=30).text.split('csrfmiddlewaretoken" value="')[1]
        form = {
            "csrfmiddlewaretoken": token.split('"')[0],
            "email": address,
            "password1": "three blind mice run",
        }
        return browser.post(url, form, timeout=60)


def sent_and_confirmed(server: Service, office: PostOffice) -> None:
    page = sign_up(server)
    assert page.url.endswith("/ko/account/confirm-email/")
    [mail] = office.mails()
    assert mail.subject == "이메일 주소를 확인해 주세요"
    assert mail.link in mail.lines
    assert requests.get(mail.link, timeout=30).status_code == 200


def test_without_security(start_server: StartServer, post_office: Open) -> None:
    office = post_office()
    sent_and_confirmed(start_server(EMAIL_URL=f"smtp://{HOST}:{office.port}"), office)


@pytest.mark.parametrize(("scheme", "security"), [("smtp+tls", "starttls"), ("smtps", "tls")])
def test_with_security_and_a_password(
    start_server: StartServer, post_office: Open, certificate: Path, scheme: str, security: str
) -> None:
    office = post_office(security, certificate)
    server = start_server(
        EMAIL_URL=f"{scheme}://{USER}:s%20p%40ce%3Aand%2Fmore@{HOST}:{office.port}",
        SSL_CERT_FILE=str(certificate),
        OPENREMBG_MAIL_FROM="Cut-outs <cut@example.com>",
    )
    sent_and_confirmed(server, office)
    text = next(office.folder.glob("*.eml")).read_text()
    assert "From: Cut-outs <cut@example.com>" in text
    assert "Auto-Submitted: auto-generated" in text


def test_a_certificate_that_nobody_vouches_for_gets_no_password(
    start_server: StartServer, post_office: Open, certificate: Path
) -> None:
    office = post_office("starttls", certificate)
    server = start_server(EMAIL_URL=f"smtp+tls://{USER}:x@{HOST}:{office.port}")
    assert sign_up(server).status_code == 200
    assert list(office.folder.glob("*.eml")) == []
    assert "SSLCertVerificationError" in server.text()


def test_a_wrong_password_is_said_on_the_page_and_in_the_log(
    start_server: StartServer, post_office: Open, certificate: Path
) -> None:
    office = post_office("tls", certificate)
    url = f"smtps://{USER}:hunter2@{HOST}:{office.port}"
    server = start_server(EMAIL_URL=url, SSL_CERT_FILE=str(certificate))
    page = sign_up(server)
    assert page.status_code == 200
    assert "메일을 보내지 못했습니다" in page.text
    assert "SMTPAuthenticationError" in server.text()
    assert "hunter2" not in server.text()


def test_a_mail_server_that_is_down_is_no_500(start_server: StartServer) -> None:
    server = start_server(EMAIL_URL=f"smtp://{HOST}:{free_port()}")
    page = sign_up(server)
    assert page.status_code == 200
    assert "메일을 보내지 못했습니다" in page.text
    assert "ConnectionRefusedError" in server.text()
    assert "ada@example.com" not in server.text()
