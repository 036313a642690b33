"""`openrembg admin`, verb by verb, on either database."""

import datetime as dt
import json
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from pytest_django.fixtures import Settings as DjangoSettings
from typer.testing import CliRunner

from openrembg.cli import app
from openrembg.server.accounts import keys
from openrembg.server.accounts.credentials import Secret, parse
from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.billing.models import Plan
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.models import Balance, LedgerEntry
from openrembg.server.quota.verify import account_ids, mismatches
from openrembg.server.quota.windows import Period, unix
from openrembg.server.settings import Settings
from people import subscribe

pytestmark = pytest.mark.usefixtures("database")

LASTS = dt.timedelta(minutes=2)
PASSWORD = "three blind mice run"


@pytest.fixture(autouse=True)
def _data_folder(settings: DjangoSettings, tmp_path: Path) -> None:
    settings.OPENREMBG = Settings(data_dir=tmp_path)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada@example.com")


def call(*arguments: object, stdin: str | bytes | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["admin", *map(str, arguments)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def refused(*arguments: object, stdin: str | bytes | None = None) -> str:
    """Return the one sentence that a call is refused with."""
    code, out, said = call(*arguments, stdin=stdin)
    assert code != 0
    assert out == ""
    assert said.startswith("openrembg: ")
    assert said.count("\n") == 1
    return said.removeprefix("openrembg: ").strip()


def balance(user: User) -> Balance:
    return Balance.objects.select_related("plan").get(pk=user.pk)


def user_called(email: str) -> User:
    return User.objects.get(email=email)


def charge(user: User, key: ApiKey | None = None) -> None:
    now = dt.datetime.now(dt.UTC)
    payer = spending.Payer(user.pk, "api" if key else "app", key.pk if key else None)
    spending.charge(spending.reserve(payer, now, LASTS), now)


def no_mismatch() -> bool:
    return not [what for number in account_ids() for what in mismatches(number)]


def test_a_user_is_made_with_all_that_was_asked_for() -> None:
    arguments = ("--password", PASSWORD, "--verified", "--plan", "Pro-5000", "--prepaid", 7)
    code, out, said = call("create-user", " Ada@Example.COM ", *arguments)
    user = user_called("ada@example.com")
    assert (code, out) == (0, "")
    assert said == f"ada@example.com is user {user.pk}.\n"
    assert user.check_password(PASSWORD)
    address = EmailAddress.objects.get(user=user)
    assert (address.email, address.verified, address.primary) == ("ada@example.com", True, True)
    assert (balance(user).plan.label, balance(user).prepaid) == ("Pro-5000", 7)
    assert not user.is_staff
    assert no_mismatch()


def test_a_plain_user_has_no_password_and_an_address_to_confirm() -> None:
    code, _, said = call("create-user", "ada@example.com")
    user = user_called("ada@example.com")
    assert code == 0
    assert "There is no password yet" in said
    assert not user.has_usable_password()
    assert not EmailAddress.objects.get(user=user, primary=True).verified
    assert (balance(user).plan.label, LedgerEntry.objects.count()) == ("Free", 0)


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\nanother line\n"])
def test_a_password_comes_from_standard_input(end: str) -> None:
    code, out, said = call(
        "create-user", "ada@example.com", "--password", "-", stdin=f"blåbær æbler{end}"
    )
    assert (code, out) == (0, "")
    assert user_called("ada@example.com").check_password("blåbær æbler")
    assert "blåbær" not in said


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "The password is empty."),
        ("x" * 4097, "The password is longer than 4096 characters."),
        ("xk2fq9 \udcff z", "The password is not UTF-8."),
    ],
)
def test_a_bad_password_is_refused_and_not_shown(password: str, sentence: str) -> None:
    said = refused("create-user", "ada@example.com", "--password", password)
    assert said == sentence
    assert not User.objects.exists()


def test_a_weak_password_is_the_operators_choice() -> None:
    code, _, said = call("create-user", "ada@example.com", "--password", "password")
    assert code == 0
    assert said.startswith("Warning: This password is too common.")
    assert user_called("ada@example.com").check_password("password")


def test_a_deleted_user_leaves_the_ledger_behind() -> None:
    call("create-user", "ada@example.com", "--prepaid", 5)
    assert call("delete-user", "ada@example.com", stdin="n\n")[0] != 0
    assert User.objects.exists()
    assert call("delete-user", "ada@example.com", "--yes")[0] == 0
    assert not User.objects.exists()
    assert LedgerEntry.objects.count() == 1
    assert call("verify-ledger")[0] == 0


@pytest.mark.parametrize(
    "email",
    [
        *("ada", "ada@", "@example.com", "a b@example.com", "", "ada@example.com,bob@example.com"),
        *("ada@example.com\nx@y.z", "ada@exa\udcffmple.com", "ada\x00@example.com"),
        "x" * 250 + "@example.com",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    said = refused("create-user", email)
    assert "address" in said
    assert not User.objects.exists()


def test_a_user_who_is_there_already_is_left_alone(ada: User) -> None:
    arguments = ("--prepaid", 5, "--password", PASSWORD)
    assert refused("create-user", "ADA@example.com", *arguments) == (
        "ada@example.com has an account already."
    )
    assert balance(ada).prepaid == 0
    assert not user_called("ada@example.com").has_usable_password()


def test_the_second_address_of_somebody_is_taken(ada: User) -> None:
    EmailAddress.objects.create(user=ada, email="ada@work.example", verified=True, primary=False)
    assert refused("create-user", "ada@work.example") == "ada@work.example has an account already."
    assert list(User.objects.all()) == [ada]


def test_a_user_on_an_unknown_plan_is_not_made() -> None:
    said = refused("create-user", "ada@example.com", "--plan", "pro")
    assert said == "There is no plan 'pro'; there are Free, Basic-1000, Pro-5000, Premium-20000."
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "number", ["-1", "1000000000001", "x", "", "1.5", "1e3", "１２", "9" * 400]
)
@pytest.mark.parametrize("verb", ["create-user", "grant", "take-back"])
def test_a_number_of_credits_that_is_none_is_refused(verb: str, number: str) -> None:
    least, tail = (0, (f"--prepaid={number}",)) if verb == "create-user" else (1, ("--", number))
    said = refused(verb, "ada@example.com", *tail)
    assert f"must be a whole number from {least} to 1000000000000, not '" in said
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("create-key",),
        ("create-token",),
        ("list-keys",),
        ("revoke-key", "orbk_"),
        ("grant", 1),
        ("take-back", 1),
        ("set-plan", "Free"),
        ("usage",),
        ("make-staff",),
    ],
)
@pytest.mark.parametrize("email", ["bob@example.com", "", "b\udcffb@example.com"])
def test_an_unknown_user_is_named(ada: User, arguments: tuple[object, ...], email: str) -> None:
    said = refused(arguments[0], email, *arguments[1:])
    assert said.startswith("There is no user") or "cannot be printed" in said


def test_a_key_is_printed_alone_and_opens_the_account(ada: User) -> None:
    code, out, said = call("create-key", "Ada@Example.com", "--name", " shop ", "--cap", "0")
    assert (code, said) == (0, "")
    secret = parse("key", out.removesuffix("\n"))
    key = ApiKey.objects.get(user=ada)
    assert secret is not None
    assert (key.digest, key.name, key.monthly_cap, key.expires_at) == (
        secret.digest,
        "shop",
        0,
        None,
    )


def test_a_key_expires_after_days_or_at_the_end_of_a_date(ada: User) -> None:
    before = dt.datetime.now(dt.UTC)
    call("create-key", "ada@example.com", "--expires", "30")
    call("create-key", "ada@example.com", "--expires", "9998-12-31")
    days, date = ApiKey.objects.order_by("pk")
    assert days.expires_at is not None
    assert dt.timedelta(0) <= days.expires_at - before - dt.timedelta(30) < dt.timedelta(minutes=1)
    assert date.expires_at == dt.datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)


def test_a_key_may_end_today(ada: User) -> None:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    assert call("create-key", "ada@example.com", "--expires", today)[0] == 0


@pytest.mark.parametrize(
    "expires", ["0", "36501", "2020-01-01", "tomorrow", "", "2030-02-30", "-3", "99999999999", "٣"]
)
def test_an_expiry_that_makes_no_sense_is_refused(ada: User, expires: str) -> None:
    assert refused("create-key", "ada@example.com", f"--expires={expires}")
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["x" * 101, "two\nlines", "a\tb", "\udcff"])
def test_a_name_that_is_no_line_is_refused(ada: User, name: str) -> None:
    assert "The name" in refused("create-key", "ada@example.com", "--name", name)


def test_somebody_with_a_hundred_keys_gets_no_more(ada: User) -> None:
    rows = [ApiKey(user=ada, prefix="orbk_x", digest=str(number)) for number in range(100)]
    ApiKey.objects.bulk_create(rows)
    assert refused("create-key", "ada@example.com") == (
        "ada@example.com has 100 keys already; revoke one first."
    )


def test_a_token_is_printed_alone(ada: User) -> None:
    code, out, said = call("create-token", "ada@example.com")
    secret = parse("token", out.strip())
    assert (code, said) == (0, "")
    assert secret is not None
    assert UserToken.objects.get(user=ada).digest == secret.digest


def test_keys_are_listed_with_state_cap_and_use(ada: User) -> None:
    used, _ = keys.create_key(ada, "shop", monthly_cap=10)
    ended, _ = keys.create_key(ada, "old")
    past = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    expired, _ = keys.create_key(ada, "a\tb\x1b[31m", expires_at=past)
    keys.create_key(User.objects.create_user("bob@example.com"), "another's")
    keys.revoke(ended)
    charge(ada, used)
    rows = [line.split("\t") for line in call("list-keys", "ada@example.com")[1].splitlines()]
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    assert rows == [
        [expired.prefix, r"a\tb\x1b[31m", "expired", today, "2020-01-02", "", "", "0"],
        [ended.prefix, "old", "revoked", today, "", "", "", "0"],
        [used.prefix, "shop", "active", today, "", "", "10", "1"],
    ]


def made(user: User) -> tuple[ApiKey, Secret]:
    return keys.create_key(user)


@pytest.mark.parametrize("how", ["prefix", "whole"])
def test_a_key_is_revoked_by_how_it_begins_or_by_all_of_it(ada: User, how: str) -> None:
    (key, secret), (other, _) = made(ada), made(ada)
    text = key.prefix if how == "prefix" else secret.text
    code, _, said = call("revoke-key", "ada@example.com", text)
    assert (code, said) == (0, f"The key {key.prefix}… of ada@example.com is revoked.\n")
    assert [key.pk for key in keys.alive(ApiKey, ada)] == [other.pk]
    code, _, said = call("revoke-key", "ada@example.com", text)
    assert (code, said) == (0, f"The key {key.prefix}… of ada@example.com had ended already.\n")


def test_the_old_text_of_a_rotated_key_revokes_it(ada: User) -> None:
    key, old = made(ada)
    keys.rotate_key(key, dt.timedelta(days=1))
    assert call("revoke-key", "ada@example.com", old.text)[0] == 0
    assert not keys.alive(ApiKey, ada).exists()


def test_a_beginning_that_several_keys_have_revokes_none(ada: User) -> None:
    made(ada), made(ada)
    said = refused("revoke-key", "ada@example.com", "orbk_")
    assert said.startswith("Several keys begin like this: orbk_")
    assert keys.alive(ApiKey, ada).count() == 2


@pytest.mark.parametrize("text", ["", " ", "ORBK_", "orbk%", "x"])
def test_a_key_of_nobody_or_of_somebody_else_is_not_revoked(ada: User, text: str) -> None:
    made(ada)
    _, others = made(User.objects.create_user("bob@example.com"))
    for wrong in (text, others.text, others.prefix):
        assert "has no key that begins with" in refused("revoke-key", "ada@example.com", wrong)
    assert keys.alive(ApiKey, ada).count() == 1


def test_credits_are_granted_with_a_note(ada: User) -> None:
    code, _, said = call("grant", "ada@example.com", "50", "--note", "for the outage")
    assert (code, said) == (0, "ada@example.com got 50 prepaid credits and has 50 now.\n")
    call("grant", "ada@example.com", 10**12)
    assert balance(ada).prepaid == 10**12 + 50
    assert LedgerEntry.objects.earliest("pk").note == "for the outage"
    assert no_mismatch()


@pytest.mark.parametrize("note", ["x" * 256, "two\nlines", "\udcff"])
def test_a_note_that_is_no_line_is_refused(ada: User, note: str) -> None:
    for verb, thing in (("grant", 1), ("take-back", 1), ("set-plan", "Free")):
        assert "The note" in refused(verb, "ada@example.com", thing, "--note", note)
    assert not LedgerEntry.objects.exists()


def test_credits_are_taken_back_as_far_as_there_are_any(ada: User) -> None:
    ledger.top_up(ada.pk, 10)
    said = call("take-back", "ada@example.com", 4)[2]
    assert said == "ada@example.com lost 4 prepaid credits and has 6 now.\n"
    said = call("take-back", "ada@example.com", 10**12)[2]
    assert said == "ada@example.com lost 6 prepaid credits and has 0 now.\n"
    count = LedgerEntry.objects.count()
    said = refused("take-back", "ada@example.com", 1)
    assert said == "ada@example.com has no prepaid credit that could be taken back."
    assert LedgerEntry.objects.count() == count
    assert no_mismatch()


def test_the_credit_of_a_picture_in_work_is_not_taken_back(ada: User) -> None:
    ledger.set_plan(ada.pk, Plan.objects.get_or_create(label="None", credits=0)[0])
    ledger.top_up(ada.pk, 2)
    spending.reserve(spending.Payer(ada.pk, "app"), dt.datetime.now(dt.UTC), LASTS)
    call("take-back", "ada@example.com", 5)
    assert (balance(ada).prepaid, balance(ada).prepaid_held) == (1, 1)


def test_a_plan_is_given_at_once(ada: User) -> None:
    code, _, said = call("set-plan", "ada@example.com", "Premium-20000", "--note", "asked for it")
    assert said == "ada@example.com has the plan Premium-20000 now: 20000 credits a period.\n"
    assert (code, balance(ada).plan.label) == (0, "Premium-20000")
    assert LedgerEntry.objects.get().note == "asked for it"


@pytest.mark.parametrize("label", ["premium-20000", "", "x\ny", "x" * 101, "\udcff"])
def test_a_plan_that_is_none_is_not_given(ada: User, label: str) -> None:
    said = refused("set-plan", "ada@example.com", label)
    assert said.startswith(("There is no plan '", "The label "))
    assert balance(ada).plan.label == "Free"


def test_a_plan_is_made_and_changed() -> None:
    team = "Team · ۲"
    assert call("plan", team, "--credits", 0)[2] == (
        f"The plan {team} has 0 credits a period and 300 requests a minute.\n"
    )
    assert call("plan", team, "--per-minute", -1)[2] == (
        f"The plan {team} has 0 credits a period and no limit a minute.\n"
    )
    call("plan", team, "--credits", 10**12, "--per-minute", 0)
    rows = [line.split("\t") for line in call("plans")[1].splitlines()]
    assert rows[-1] == [team, "1000000000000", "0", "0", "", ""]


def test_plans_are_listed_with_their_users(ada: User) -> None:
    rows = [line.split("\t") for line in call("plans")[1].splitlines()]
    assert rows[0] == ["Free", "50", "20", "1", "", ""]
    assert [row[0] for row in rows] == ["Free", "Basic-1000", "Pro-5000", "Premium-20000"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("New",),
        ("New", "--per-minute", "5"),
        ("Free",),
        ("", "--credits", "1"),
        (" ", "--credits", "1"),
        ("x" * 101, "--credits", "1"),
        ("two\nlines", "--credits", "1"),
        ("New", "--credits", "-1"),
        ("New", "--credits", "1000000000001"),
        ("New", "--credits", "1", "--per-minute", "-2"),
        ("New", "--credits", "1", "--per-minute", "1000000001"),
    ],
)
def test_a_plan_that_makes_no_sense_is_not_made(arguments: tuple[str, ...]) -> None:
    before = list(Plan.objects.order_by("pk").values())
    assert refused("plan", *arguments)
    assert list(Plan.objects.order_by("pk").values()) == before


def test_staff_are_made_and_unmade(ada: User) -> None:
    call("make-staff", "ada@example.com")
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (True, True)
    call("make-staff", "ada@example.com", "--off")
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (False, False)


def test_usage_tells_what_somebody_has_and_used(ada: User) -> None:
    key, _ = keys.create_key(ada)
    now = unix(dt.datetime.now(dt.UTC))
    ledger.top_up(ada.pk, 5)
    subscribe(ada.pk, Period(now - 86400, now + 86400))
    charge(ada)
    charge(ada, key)
    facts = json.loads(call("usage", "ada@example.com", "--json")[1])
    assert facts["included"] == {"credits": 50, "used": 2, "remaining": 48, "held": 0}
    assert facts["prepaid"] == {"credits": 5, "held": 0}
    assert (facts["plan"], facts["verified"], facts["keys"]) == ("Free", False, 1)
    assert {name: facts["month"][name] for name in ("app", "api")} == {"app": 1, "api": 1}
    period = facts["billing_period"]
    assert (period["app"], period["api"], period["stripe"]) == (1, 1, True)
    assert facts["ledger"] == {"entries": 5, "head": balance(ada).head}


def test_usage_tells_of_the_period_that_began_by_itself(ada: User) -> None:
    now = unix(dt.datetime.now(dt.UTC))
    subscribe(ada.pk, Period(now - 9 * 86400, now - 86400), next_end=now + 86400)
    charge(ada)
    facts = json.loads(call("usage", "ada@example.com", "--json")[1])
    period = facts["billing_period"]
    ends = [int(dt.datetime.fromisoformat(period[name]).timestamp()) for name in ("start", "end")]
    assert ends == [now - 86400, now + 86400]
    assert (period["app"], period["stripe"], facts["included"]["used"]) == (1, True, 1)


def test_usage_is_lines_with_tabs_in_a_pipe(ada: User) -> None:
    rows = dict(line.split("\t") for line in call("usage", "ada@example.com")[1].splitlines())
    assert rows["email"] == "ada@example.com"
    assert (rows["included remaining"], rows["prepaid credits"]) == ("50", "0")
    assert (rows["billing period"], rows["active"], rows["staff"]) == ("none", "yes", "no")


def test_a_ledger_that_fits_is_a_sentence(ada: User) -> None:
    charge(ada)
    User.objects.create_user("bob@example.com").delete()
    assert call("verify-ledger") == (0, "", "1 accounts match their ledger.\n")


def test_each_mismatch_is_named_with_its_account(ada: User) -> None:
    ledger.top_up(ada.pk, 5)
    bob = User.objects.create_user("bob@example.com")
    User.objects.create_user("eve@example.com")
    Balance.objects.filter(pk=ada.pk).update(prepaid=6)
    Balance.objects.filter(pk=bob.pk).update(prepaid=1, head="x" * 64)
    code, out, said = call("verify-ledger")
    assert code == 1
    assert out.splitlines()[0] == (
        f"user {ada.pk}, ada@example.com\tbalance prepaid is 6; the ledger says 5."
    )
    assert [line.split("\t")[0] for line in out.splitlines()[1:]] == [
        f"user {bob.pk}, bob@example.com"
    ] * 2
    assert said == "openrembg: 2 of 3 accounts do not match their ledger.\n"


def test_without_a_redis_there_is_nothing_to_rebuild() -> None:
    assert refused("rebuild-redis") == "There is no Redis to write to: REDIS_URL is not set."


def test_no_verb_at_all_is_a_question_for_help() -> None:
    result = CliRunner().invoke(app, ["admin"])
    assert "create-user" in result.output
