import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.mail import EmailMessage

from openrembg.server.accounts.outbox import Outbox, links_in
from outbox import mails


def mail(subject: str = "Hello", body: str = "Go there:\n\nhttps://a.example/x\n") -> EmailMessage:
    return EmailMessage(subject, body, "openrembg <no-reply@localhost>", ["ada@example.com"])


def test_a_mail_is_a_file_that_its_owner_alone_reads(tmp_path: Path) -> None:
    assert Outbox().send_messages([mail("سلام 안녕", "متن\n")]) == 1
    folder = tmp_path / "outbox"
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [read] = mails(folder)
    assert (read.to, read.subject, read.text) == ("ada@example.com", "سلام 안녕", "متن\n")


def test_names_sort_by_time_and_never_meet(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Outbox().send_messages([mail()]), range(40)))
    time.sleep(0.01)
    Outbox().send_messages([mail("the last")])
    read = mails(tmp_path / "outbox")
    assert len(read) == 41
    assert read[-1].subject == "the last"
    assert not list((tmp_path / "outbox").glob(".*")), "nothing half-written is left"


def test_the_log_has_the_subject_and_the_links_and_no_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", "openrembg.mail"):
        Outbox().send_messages([mail()])
    [record] = caplog.records
    fields = record.__dict__["fields"]
    assert fields["subject"] == "Hello"
    assert fields["links"] == ["https://a.example/x"]
    assert "ada@" not in str(fields)


def test_a_link_is_a_line_of_its_own() -> None:
    text = "see https://a.example/1 there\nhttps://a.example/2\nhttp://b.example/3\n https://c/4"
    assert links_in(text) == ["https://a.example/2", "http://b.example/3"]
