"""Who may see which page, and what every page is made of."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.test import Client
from test_second_factor import switch_on
from visits import LANGUAGES, PASSWORD, is_in, log_in, prove_again, text_of

from openrembg.server.accounts.keys import create_token

pytestmark = [
    pytest.mark.usefixtures("database", "quick_passwords"),
    # The pages ask no database for anything of its own kind.
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

OPEN = ["login/", "signup/", "password/reset/", "password/reset/done/", "confirm-email/",
        "password/reset/key/done/", "inactive/", "deleted/", "confirm-email/x/",
        "password/reset/key/1-x/"]  # fmt: skip
OWN = ["", "profile/", "email/", "password/change/", "2fa/", "export/", "delete/", "logout/",
       "reauthenticate/", "2fa/totp/activate/"]  # fmt: skip

PROFILE = "/en/account/profile/"

WITH_APP = ["2fa/", "2fa/totp/deactivate/", "2fa/reauthenticate/", "2fa/recovery-codes/",
            "2fa/recovery-codes/generate/"]  # fmt: skip


class Parts(HTMLParser):
    """What a page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html: dict[str, str | None] = {}
        self.in_place: list[str] = []
        self.loads: list[str] = []
        self.labels: set[str] = set()
        self.fields: set[str] = set()
        self.headings = 0
        self._tag = ""
        self._runs = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self._tag, self._runs = tag, known.get("type") != "application/json"
        self.headings += tag == "h1"
        if tag == "html":
            self.html = known
        if tag == "label":
            self.labels.add(known.get("for") or "")
        if tag in ("input", "select", "textarea") and known.get("type") != "hidden":
            self.fields.add(known.get("id") or "an input without an id")
        self.in_place += [name for name in known if name == "style" or name.startswith("on")]
        # A link to the same page in another language loads nothing.
        if tag in ("script", "link", "img") and known.get("rel") != "alternate":
            self.loads += [known[name] or "" for name in ("src", "href") if name in known]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and self._runs and data.strip():
            self.in_place.append(data)


def visited(client: Client, language: str, path: str) -> Any:
    return client.get(f"/{language}/account/{path}", follow=True)


def looked_at(page: Any, language: str) -> None:
    assert page.status_code == 200
    parts = Parts(text_of(page))
    assert parts.html == {"lang": language, "dir": "rtl" if language == "fa" else "ltr"}
    assert parts.headings == 1
    assert parts.in_place == [], "the policy forbids it"
    assert parts.fields <= parts.labels, "every field has a label"
    assert all(address.startswith(("/static/", "data:image/")) for address in parts.loads)
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in page.headers["Cache-Control"]
    for other in LANGUAGES:
        assert f'hreflang="{other}"' in text_of(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_for_everybody(client: Client, language: str) -> None:
    for path in OPEN:
        looked_at(visited(client, language, path), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_an_owner(client: Client, new_user: Any, language: str) -> None:
    new_user(language=language)
    log_in(client)
    prove_again(client)
    for path in OWN:
        looked_at(visited(client, language, path), language)
    switch_on(client)
    for path in WITH_APP:
        looked_at(visited(client, language, path), language)
    visitor = Client()
    looked_at(log_in(visitor, language=language), language)


@pytest.mark.parametrize("path", [*(path for path in OWN if path != "logout/"), *WITH_APP])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_else_sees_them(client: Client, database: Any, method: str, path: str) -> None:
    answer = getattr(client, method)(f"/en/account/{path}")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/en/account/login/")


def test_no_page_names_a_user_so_that_nobody_can_ask_for_another_s(
    client: Client, new_user: Any
) -> None:
    ada, bob = new_user(), new_user("bob@example.com", is_staff=True)
    log_in(client, "bob@example.com")
    prove_again(client)
    for path in OWN:
        text = text_of(visited(client, "en", path))
        assert ada.email not in text, "staff see their own pages here, like everybody"
        assert not re.search(rf'"/en/account/[^"]*/{bob.pk}/', text)


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"accept-language": "fa-IR,fa;q=0.9,en;q=0.8"}, "fa"),
        ({"accept-language": "id"}, "id"),
        ({"accept-language": "in-ID,in;q=0.9,en;q=0.8"}, "id"),
        ({"accept-language": "fr, in;q=0.8"}, "id"),
        ({"accept-language": "en-IN,ja"}, "en"),
        ({"accept-language": "fr,ja;q=0.5"}, "ja"),
        ({"accept-language": "fr,de"}, "en"),
        ({"accept-language": "ko", "cookie": "openrembg_language=id"}, "id"),
        ({"cookie": "openrembg_language=xx"}, "en"),
    ],
)
def test_a_page_without_a_language_leads_to_the_reader_s(
    client: Client, headers: dict[str, str], language: str
) -> None:
    answer = client.get("/account/login/?next=/en/account/", headers=headers)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/{language}/account/login/?next=/en/account/"


def test_a_language_chosen_by_hand_is_remembered(client: Client) -> None:
    assert "openrembg_language" not in client.get("/en/account/login/").cookies
    cookie = client.get("/ja/account/login/").cookies["openrembg_language"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("ja", True, "Lax")
    assert client.get("/account/login/").headers["Location"] == "/ja/account/login/"
    assert "openrembg_language" not in client.get("/ja/account/login/").cookies


def test_an_unknown_page_speaks_the_reader_s_language(client: Client) -> None:
    for path in ("/fa/nothing", "/fa/account/nothing"):
        page = client.get(path)
        assert page.status_code == 404
        assert "صفحه پیدا نشد" in text_of(page)
    assert client.post("/fa/nothing").json()["error"] == "Not found"
    assert client.get("/api/nothing", headers={"accept-language": "fa"}).json() is not None


def test_the_api_knows_no_cookies_and_no_languages(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    answer = client.get("/health", headers={"accept-language": "fa"})
    assert "Content-Language" not in answer.headers
    assert not answer.cookies
    assert "form-action 'none'" in answer.headers["Content-Security-Policy"]


def test_the_language_of_pages_and_mails_can_be_changed(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    user = new_user()
    log_in(client)
    page = client.post(PROFILE, {"language": "ko"}, follow=True)
    assert page.redirect_chain[-1][0] == "/ko/account/profile/"
    assert 'lang="ko"' in text_of(page)
    assert client.get("/account/login/").headers["Location"] == "/ko/account/login/"
    user.refresh_from_db()
    assert user.language == "ko"
    client.post("/en/account/password/reset/", {"email": user.email})
    assert read_mails()[0].subject == "새 비밀번호를 정하세요"
    assert "errorlist" in text_of(client.post(PROFILE, {"language": "xx"}))
    user.refresh_from_db()
    assert user.language == "ko"


def test_mails_about_usage_can_be_switched_off_and_on(client: Client, new_user: Any) -> None:
    user, other = new_user(), new_user("bob@example.com")
    log_in(client)
    assert re.search(r'name="usage_mails"[^>]* checked', text_of(client.get(PROFILE)))
    for form, wanted in (({}, False), ({"usage_mails": "on"}, True), ({}, False)):
        client.post(PROFILE, {"language": "en", **form})
        user.refresh_from_db()
        assert user.usage_mails is wanted
    assert not re.search(r'name="usage_mails"[^>]* checked', text_of(client.get(PROFILE)))
    other.refresh_from_db()
    assert other.usage_mails


def test_the_profile_says_whether_there_is_a_second_factor(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    prove_again(client)
    assert "It is off." in text_of(client.get(PROFILE))
    switch_on(client)
    assert "It is on:" in text_of(client.get(PROFILE))


def test_the_profile_counts_the_pages_that_are_signed_in(client: Client, new_user: Any) -> None:
    user = new_user()
    create_token(user)
    create_token(new_user("bob@example.com"))
    log_in(client)
    assert "Working now: 1" in text_of(client.get(PROFILE))
    client.post("/en/account/tokens/revoke")
    assert "Working now: 0" in text_of(client.get(PROFILE))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", "Overview"),
        ("keys", "API keys"),
        ("tokens", "Profile"),
        ("email/", "Profile"),
        ("2fa/", "Profile"),
        ("export/", "Profile"),
        ("billing/", "Plan and credits"),
        ("billing/cancelled", "Plan and credits"),
    ],
)
def test_the_menu_says_where_one_is(client: Client, new_user: Any, path: str, place: str) -> None:
    new_user()
    log_in(client)
    menu = text_of(client.get(f"/en/account/{path}")).partition('class="side')[2]
    here = re.findall(r"<a [^>]*aria-current[^>]*>([^<]*)</a>", menu.partition("</nav>")[0])
    assert here == [place]


def test_the_session_s_cookie_is_for_the_server_alone(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    assert is_in(client)
    for name in ("openrembg_session", "openrembg_csrf"):
        cookie = client.cookies[name]
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


# Names are written as they are; everything else in sentence case, and with one word for mail.
NAMES = ("openrembg", "English", "Bahasa Indonesia", "API", "English (United States)")


def test_our_english_has_one_voice(client: Client, new_user: Any) -> None:
    new_user()
    pages = [visited(client, "en", path) for path in OPEN]
    log_in(client)
    prove_again(client)
    pages += [visited(client, "en", path) for path in OWN]
    switch_on(client)
    pages += [visited(client, "en", path) for path in WITH_APP]
    pages.append(log_in(Client()))
    for page in pages:
        body = re.sub(r"(?s)<head>.*</head>|<(script|style).*?</\1>", "", text_of(page))
        placeholders = " ".join(re.findall(r'(?:placeholder|aria-label)="([^"]*)"', body))
        seen = " ".join(re.sub(r"<[^>]*>", "|", body).split()) + placeholders
        assert not re.search(r"(?i)(?<![\w@.-])emails?\b", seen), page.request["PATH_INFO"]
        said = re.findall(r"<(h1|h2|label|button|a)\b[^>]*>([^<]*)</\1>", body)
        loud = [text for _, text in said if re.search(r"^[A-Z][a-z-]+ [A-Z][a-z]", text.strip())]
        assert [text for text in loud if text.strip() not in NAMES] == []


def test_the_page_of_a_mailed_link_says_the_address_once(client: Client, new_user: Any) -> None:
    address = EmailAddress.objects.get(user=new_user(verified=False))
    page = text_of(client.get(f"/en/account/confirm-email/{EmailConfirmationHMAC(address).key}/"))
    assert page.count("ada@example.com") == 1
    assert "<bdi>ada@example.com</bdi>" in page


def test_the_form_of_deletion_tells_password_managers_whose_password(
    client: Client, new_user: Any
) -> None:
    new_user()
    log_in(client)
    page = text_of(client.get("/en/account/delete/"))
    assert re.search(r'value="ada@example.com"[^>]* autocomplete="username"', page)


def test_whoever_has_a_new_password_is_led_on(client: Client, new_user: Any) -> None:
    new_user()
    done = "/en/account/password/reset/key/done/"
    assert 'class="button" href="/en/account/login/"' in text_of(client.get(done))
    log_in(client)
    assert 'class="button" href="/en/account/"' in text_of(client.get(done))
    new = "four blind mice run"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    page = client.post("/en/account/password/change/", form, follow=True)
    assert page.redirect_chain[-1][0] == PROFILE
    assert "Your password is changed." in text_of(page)
