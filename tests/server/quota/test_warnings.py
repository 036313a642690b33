"""Mails at 80 % and 100 % of the included credits: who gets one, when, once, and what it says."""

import datetime as dt
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from allauth.account.models import EmailAddress
from django.core.mail import EmailMessage
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings as DjangoSettings

from openrembg.server import upkeep
from openrembg.server.accounts.deletion import delete_account
from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.quota import spending, warning_mails
from openrembg.server.quota.ledger import set_plan, top_up
from openrembg.server.quota.models import LedgerEntry, UsageLook, UsageWarning
from openrembg.server.quota.spending import Payer
from openrembg.server.quota.warning_mails import AGAIN, MAX_TRIES, PAUSE, send_due
from openrembg.server.quota.warnings import EVERY, level_of, note_warnings
from openrembg.server.quota.windows import Period, unix
from people import Person, person, subscribe

pytestmark = pytest.mark.usefixtures("database")

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
DECEMBER = dt.datetime(2026, 12, 3, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LOW, UP = "Your included credits are running low", "Your included credits are used up"

Mails = list[EmailMessage]


class Refusing:
    """A mail server's mind: it takes no mail for `nobody@…`, and keeps the others."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Take or refuse an address."""
        if address.startswith("nobody@"):
            return "550 nobody is here"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        self.taken.extend(envelope.rcpt_tos)
        return "250 taken"


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def by_smtp(settings: DjangoSettings, free_port: int) -> int:
    """Mails go to a mail server at the port that is returned, where none is yet."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port
    return free_port


@pytest.fixture
def post_office(by_smtp: int) -> Iterator[Refusing]:
    """A mail server there."""
    handler = Refusing()
    controller = Controller(handler, hostname="127.0.0.1", port=by_smtp)
    controller.start()
    yield handler
    controller.stop()


def use(payer: Payer, times: int, now: dt.datetime = NOW) -> None:
    for _ in range(times):
        spending.charge(spending.reserve(payer, now, MINUTE), now)


def look(now: dt.datetime = NOW) -> None:
    """Do what upkeep does, at a time when the next look is due."""
    UsageLook.objects.update(due_at=now)
    upkeep.warn(now)


def told(mails: Mails) -> list[tuple[str, str]]:
    """Return whom the mails went to and what they were about, and forget them."""
    found = [(mail.to[0].partition("@")[0], str(mail.subject)) for mail in mails]
    mails.clear()
    return found


# When.


@pytest.mark.parametrize(
    ("used", "allowance", "level"),
    [
        *((79, 100, None), (80, 100, 80), (99, 100, 80), (100, 100, 100), (150, 100, 100)),
        *((0, 1, None), (1, 1, 100), (3, 4, None), (0, 0, None), (5, 0, None)),
    ],
)
def test_a_level_is_reached_when_so_many_percent_are_used(
    used: int, allowance: int, level: int | None
) -> None:
    assert level_of(used, allowance) == level


def test_each_level_is_told_once(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 3)
    look()
    assert told(mailoutbox) == []
    use(ada.by_token, 1)
    look()
    look()
    assert told(mailoutbox) == [("ada", LOW)]
    use(ada.by_key, 1)
    look()
    look()
    assert told(mailoutbox) == [("ada", UP)]
    top_up(ada.user.pk, 3)
    use(ada.by_key, 3)
    look()
    assert told(mailoutbox) == []


def test_of_two_levels_at_once_the_higher_one_is_told(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 5)
    look()
    look()
    assert told(mailoutbox) == [("ada", UP)]


def test_a_warning_that_waits_is_overtaken_by_the_next_level(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 4)
    note_warnings(NOW)
    use(ada.by_key, 1)
    send_due(NOW)
    assert told(mailoutbox) == []
    look()
    assert told(mailoutbox) == [("ada", UP)]


def test_a_new_month_begins_anew(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 5)
    look()
    assert told(mailoutbox) == [("ada", UP)]
    use(ada.by_key, 3, DECEMBER)
    look(DECEMBER)
    assert told(mailoutbox) == []
    use(ada.by_key, 1, DECEMBER)
    look(DECEMBER)
    assert told(mailoutbox) == [("ada", LOW)]


def test_what_could_not_be_sent_before_the_month_was_over_is_not_sent(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 5)
    note_warnings(NOW)
    look(DECEMBER)
    assert told(mailoutbox) == []
    assert not UsageWarning.objects.exists()


def test_another_plan_within_the_month_is_warned_of_anew(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 4)
    look()
    assert told(mailoutbox) == [("ada", LOW)]
    set_plan(ada.user.pk, Plan.objects.create(label="Ten", credits=10))
    look()
    assert told(mailoutbox) == []
    use(ada.by_key, 4)
    look()
    assert told(mailoutbox) == [("ada", LOW)]
    # What is used stays used: the smaller plan has nothing left.
    set_plan(ada.user.pk, Plan.objects.get(label="plan of ada@example.com"))
    look()
    assert told(mailoutbox) == [("ada", UP)]
    set_plan(ada.user.pk, Plan.objects.get(label="Ten"))
    look()
    assert told(mailoutbox) == []


def test_a_billing_period_counts_instead_of_the_month(mailoutbox: Mails) -> None:
    ada = person(credits_=5)
    use(ada.by_key, 2)
    period = Period(unix(NOW), unix(NOW + dt.timedelta(days=30)))
    next_end = unix(NOW + dt.timedelta(days=60))
    subscribe(ada.user.pk, period, next_end=next_end, at=NOW)
    use(ada.by_key, 3)
    look()
    assert told(mailoutbox) == []
    use(ada.by_key, 1)
    look()
    assert told(mailoutbox) == [("ada", LOW)]
    # The next one has begun although Stripe has not told yet.
    later = NOW + dt.timedelta(days=31)
    use(ada.by_key, 5, later)
    look(later)
    assert told(mailoutbox) == [("ada", UP)]
    assert set(UsageWarning.objects.values_list("kind", "start")) == {
        ("cycle", period.start),
        ("cycle", period.end),
    }


# Whom.


def test_only_who_is_active_and_verified_and_wants_them_gets_mails(mailoutbox: Mails) -> None:
    person("unverified@example.com", verified=False, credits_=1)
    for name, change in (("gone", {"is_active": False}), ("unwilling", {"usage_mails": False})):
        person(f"{name}@example.com", credits_=1)
        User.objects.filter(email=f"{name}@example.com").update(**change)
    person("willing@example.com", credits_=1)
    # Another address of hers is verified, and the one that mails would go to is not.
    other = person("other@example.com", verified=False, credits_=1)
    EmailAddress.objects.create(user=other.user, email="old@example.com", verified=True)
    for user in User.objects.all():
        use(Payer(user.pk, "app"), 1)
    look()
    assert told(mailoutbox) == [("willing", UP)]
    User.objects.filter(email="unwilling@example.com").update(usage_mails=True)
    top_up(User.objects.get(email="unwilling@example.com").pk, 1)
    look()
    assert told(mailoutbox) == [("unwilling", UP)]


@pytest.mark.parametrize("change", [{"is_active": False}, {"usage_mails": False}])
def test_who_wants_none_any_more_gets_none_that_was_waiting(
    mailoutbox: Mails, change: dict[str, bool]
) -> None:
    ada = person(credits_=1)
    use(ada.by_key, 1)
    assert note_warnings(NOW) == 1
    User.objects.update(**change)
    assert send_due(NOW) == 0
    assert mailoutbox == []
    assert not UsageWarning.objects.exists()


def test_a_deleted_account_gets_none(mailoutbox: Mails) -> None:
    ada = person(credits_=1)
    use(ada.by_key, 1)
    note_warnings(NOW)
    delete_account(ada.user, tell=False)
    look()
    assert mailoutbox == []
    assert not UsageWarning.objects.exists()


def test_a_plan_without_credits_is_never_used_up(mailoutbox: Mails) -> None:
    ada = person(credits_=0, prepaid=3)
    use(ada.by_key, 3)
    look()
    assert mailoutbox == []


# What it says.


def text_of(mails: Mails) -> str:
    (mail,) = mails
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"
    return str(mail.body)


def test_it_says_what_is_left_and_leads_on(mailoutbox: Mails, furnish: Any) -> None:
    furnish(public_url="https://cut.example")
    ada = person(credits_=1000, prepaid=1234)
    spending.charge(spending.reserve(ada.by_key, NOW, MINUTE), NOW)
    ada.user.windows.update(api=850)
    look()
    text = text_of(mailoutbox)
    assert "Your plan plan of ada@example.com includes credits" in text
    assert "Used in this one: 850 of 1,000." in text
    assert "Included credits left: 150" in text
    assert "Prepaid credits left: 1,234" in text
    assert "New included credits come on Dec. 1, 2026 (UTC)." in text
    assert "Until then" not in text
    links = [line for line in text.splitlines() if line.startswith("http")]
    assert links == [
        "https://cut.example/en/account/",
        "https://cut.example/en/plans",
        "https://cut.example/en/account/profile/",
    ]


@pytest.mark.parametrize(
    ("prepaid", "sentence"),
    [(0, "you can make no more pictures"), (3, "pictures cost prepaid credits")],
)
def test_it_says_what_happens_when_all_is_used(
    mailoutbox: Mails, prepaid: int, sentence: str
) -> None:
    ada = person(credits_=1, prepaid=prepaid)
    use(ada.by_key, 1)
    look()
    assert f"Until then, {sentence}" in text_of(mailoutbox)


def test_it_says_when_the_plan_ends(mailoutbox: Mails) -> None:
    ada = person(credits_=1)
    subscribe(ada.user.pk, Period(unix(NOW), unix(DECEMBER)), at=NOW)
    use(ada.by_key, 1)
    look()
    assert "Your plan ends on Dec. 3, 2026 (UTC)." in text_of(mailoutbox)


def test_it_speaks_its_reader_s_language(mailoutbox: Mails) -> None:
    ada = person(credits_=1, prepaid=1234)
    User.objects.update(language="fa")
    use(ada.by_key, 1)
    look()
    text = text_of(mailoutbox)
    assert "/fa/account/" in text
    assert "۱٬۲۳۴" in text


def test_without_a_public_address_links_lead_to_where_the_server_listens(
    mailoutbox: Mails, furnish: Any
) -> None:
    furnish(host="::1", port=8080)
    ada = person(credits_=1)
    use(ada.by_key, 1)
    look()
    assert "http://[::1]:8080/en/account/" in text_of(mailoutbox)


# Once, whatever happens.


def at_once(*calls: Callable[[], object]) -> None:
    """Call several functions in threads that begin together."""
    gate = threading.Barrier(len(calls))

    def call(function: Callable[[], object]) -> None:
        try:
            gate.wait()
            function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call, function) for function in calls]:
            done.result()


def test_two_servers_at_once_send_each_mail_once(mailoutbox: Mails) -> None:
    names = [f"user{number:02}" for number in range(12)]
    for name in names:
        use(person(f"{name}@example.com", credits_=1).by_key, 1)
    note_warnings(NOW)
    at_once(*[lambda: send_due(NOW)] * 3)
    assert sorted(told(mailoutbox)) == [(name, UP) for name in names]


def test_two_servers_that_look_at_the_same_users_note_each_once(mailoutbox: Mails) -> None:
    for number in range(6):
        use(person(f"user{number}@example.com", credits_=1).by_key, 1)
    UsageLook.objects.create(pk=1, due_at=NOW)

    def look_again() -> None:
        UsageLook.objects.update(due_at=NOW, before=0)
        note_warnings(NOW)

    at_once(*[look_again] * 3)
    assert UsageWarning.objects.count() == 6


def test_one_server_of_several_looks_each_time() -> None:
    ada = person(credits_=1)
    assert note_warnings(NOW) == 0
    use(ada.by_key, 1)
    assert note_warnings(NOW + EVERY / 2) == 0
    assert note_warnings(NOW + EVERY) == 1


def test_a_clock_that_was_wrong_stops_nobody() -> None:
    note_warnings(NOW + dt.timedelta(days=365))
    ada = person(credits_=1)
    use(ada.by_key, 1)
    assert note_warnings(NOW) == 1


def test_an_entry_that_was_committed_late_is_seen_by_the_next_look() -> None:
    ada = person(credits_=1)
    use(ada.by_key, 1)
    entry = LedgerEntry.objects.get(user_id=ada.user.pk, event="charge")
    # A look that saw entries with greater numbers and not this one, whose transaction was slow.
    UsageLook.objects.create(pk=1, seen=entry.pk + 5, before=entry.pk - 1, due_at=NOW)
    assert note_warnings(NOW) == 1


def test_who_does_nothing_is_not_looked_at() -> None:
    for number in range(5):
        use(person(f"user{number}@example.com", credits_=1).by_key, 1)
    for minutes in range(3):
        note_warnings(NOW + minutes * EVERY)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        note_warnings(NOW + 3 * EVERY)
    asked = " ".join(query["sql"] for query in queries)
    assert "quota_balance" not in asked
    assert "accounts_user" not in asked


# The mail server is away.


def test_a_mail_server_that_is_away_is_tried_again_a_few_times(
    by_smtp: int, caplog: pytest.LogCaptureFixture
) -> None:
    ada = person(credits_=1)
    use(ada.by_key, 1)
    moment, tries = NOW, 0
    note_warnings(moment)
    while due_at := UsageWarning.objects.get().due_at:
        assert send_due(due_at) == 0
        assert send_due(due_at) == 0
        tries += 1
        assert UsageWarning.objects.get().tries == tries
    assert tries == MAX_TRIES
    assert send_due(NOW + dt.timedelta(days=9)) == 0
    assert UsageWarning.objects.get().sent_at is None
    assert caplog.messages.count("A mail could not be sent") == MAX_TRIES


def test_it_is_sent_once_the_mail_server_is_back(by_smtp: int) -> None:
    ada = person(credits_=1)
    use(ada.by_key, 1)
    look()
    handler = Refusing()
    controller = Controller(handler, hostname="127.0.0.1", port=by_smtp)
    controller.start()
    try:
        assert send_due(NOW + AGAIN / 2) == 0
        assert send_due(NOW + AGAIN) == 1
        assert send_due(NOW + 9 * AGAIN) == 0
    finally:
        controller.stop()
    assert handler.taken == ["ada@example.com"]
    assert UsageWarning.objects.get().sent_at == NOW + AGAIN


def test_a_mail_server_that_is_away_is_asked_for_one_mail_and_not_for_all(by_smtp: int) -> None:
    for number in range(4):
        use(person(f"user{number}@example.com", credits_=1).by_key, 1)
    look()
    assert sorted(UsageWarning.objects.values_list("tries", "due_at")) == [
        *[(0, NOW + PAUSE)] * 3,
        (1, NOW + AGAIN),
    ]


def test_an_address_that_is_refused_holds_nobody_up(post_office: Refusing) -> None:
    for name in ("first", "nobody", "last"):
        use(person(f"{name}@example.com", credits_=1).by_key, 1)
    look()
    assert post_office.taken == ["first@example.com", "last@example.com"]
    waiting = UsageWarning.objects.get(sent_at=None)
    assert (waiting.user.email, waiting.due_at) == ("nobody@example.com", NOW + AGAIN)


def test_an_address_that_is_none_stops_nothing(post_office: Refusing) -> None:
    for name in ("line\nbreak", "last"):
        use(person(f"{name}@example.com", credits_=1).by_key, 1)
    look()
    assert post_office.taken == ["last@example.com"]


def test_very_many_are_sent_some_at_a_time(
    mailoutbox: Mails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warning_mails, "AT_ONCE", 2)
    for number in range(3):
        use(person(f"user{number}@example.com", credits_=1).by_key, 1)
    look()
    assert len(told(mailoutbox)) == 2
    send_due(NOW)
    assert len(told(mailoutbox)) == 1


def test_upkeep_sends_them(mailoutbox: Mails) -> None:
    ada: Person = person(credits_=1)
    now = dt.datetime.now(dt.UTC)
    use(ada.by_key, 1, now)
    stop = upkeep.start(every_s=0.02)
    waiting = threading.Event()
    for _ in range(1000):
        if mailoutbox:
            break
        waiting.wait(0.02)
    stop()
    assert told(mailoutbox) == [("ada", UP)]
