"""Every page of the site: where it is, and who sees it. site_people.py has the people.

A new page has to be entered here: a test compares this list with the routes that there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from openrembg.server.manual import contents

# owner: pays, has keys and usage. beginner: has signed up and nothing else. guarded: has a second
# factor, and an address that waits for its confirmation. entering: has given the password, and not
# the code yet. staff: has no password.
Visitor = Literal["nobody", "owner", "beginner", "guarded", "entering", "staff"]

LANGUAGES: Final = tuple(code for code, _ in settings.LANGUAGES)
RIGHT_TO_LEFT: Final = ("fa",)


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page. path: behind the language, with what `Cast.fill` knows in braces.

    visitor: who sees it. status: what it answers. name: what a picture of it is called. form: what
    is written into its form, whose answer is meant then.
    """

    name: str
    path: str
    visitor: Visitor = "nobody"
    status: int = 200
    form: tuple[tuple[str, str], ...] = ()


def _manual() -> Iterator[SitePage]:
    for page in contents.PAGES:
        path = f"api-usage/{page.name}" if page.name else "api-usage"
        yield SitePage(f"manual-{page.name or 'start'}", path)


PAGES: Final = (
    SitePage("editor", ""),
    SitePage("editor-of-owner", "", "owner"),
    SitePage("plans", "plans"),
    SitePage("plans-of-owner", "plans", "owner"),
    *_manual(),
    SitePage("not-found", "nothing/here", status=404),
    SitePage("sign-up", "account/signup/"),
    SitePage("log-in", "account/login/"),
    SitePage("log-in-code", "account/2fa/authenticate/", "entering"),
    SitePage("mail-was-sent", "account/confirm-email/"),
    SitePage("confirm-address", "account/confirm-email/{confirm}/"),
    SitePage("confirm-address-too-late", "account/confirm-email/none/"),
    SitePage("password-forgotten", "account/password/reset/"),
    SitePage("password-mail-was-sent", "account/password/reset/done/"),
    SitePage("password-new", "account/password/reset/key/{reset}/"),
    SitePage("password-new-too-late", "account/password/reset/key/1-none/"),
    SitePage("password-new-done", "account/password/reset/key/done/"),
    SitePage("inactive", "account/inactive/"),
    SitePage("deleted", "account/deleted/"),
    SitePage("overview", "account/", "owner"),
    SitePage("overview-of-beginner", "account/", "beginner"),
    SitePage("keys", "account/keys", "owner"),
    SitePage("keys-of-beginner", "account/keys", "beginner"),
    SitePage("key-change", "account/keys/{key}", "owner"),
    SitePage("key-rotate", "account/keys/{key}/rotate", "owner"),
    SitePage("key-revoke", "account/keys/{key}/revoke", "owner"),
    SitePage("tokens", "account/tokens", "owner"),
    SitePage("tokens-of-beginner", "account/tokens", "beginner"),
    SitePage("billing", "account/billing/", "owner"),
    SitePage("billing-of-beginner", "account/billing/", "beginner"),
    SitePage("bought", "account/billing/success?session_id={session}", "owner"),
    SitePage("not-bought", "account/billing/cancelled", "owner"),
    SitePage("profile", "account/profile/", "owner"),
    SitePage("address", "account/email/", "owner"),
    SitePage("address-waits", "account/email/", "guarded"),
    SitePage("password-change", "account/password/change/", "owner"),
    SitePage("password-set", "account/password/set/", "staff"),
    SitePage("prove-again", "account/reauthenticate/", "owner"),
    SitePage("prove-again-code", "account/2fa/reauthenticate/", "guarded"),
    SitePage("second-factor", "account/2fa/", "owner"),
    SitePage("second-factor-on", "account/2fa/", "guarded"),
    SitePage("second-factor-start", "account/2fa/totp/activate/", "owner"),
    SitePage("second-factor-end", "account/2fa/totp/deactivate/", "guarded"),
    SitePage("recovery-codes", "account/2fa/recovery-codes/", "guarded"),
    SitePage("recovery-codes-again", "account/2fa/recovery-codes/", "guarded"),
    SitePage("recovery-codes-anew", "account/2fa/recovery-codes/generate/", "guarded"),
    SitePage("export", "account/export/", "owner"),
    SitePage("delete", "account/delete/", "owner"),
    SitePage("log-out", "account/logout/", "owner"),
    # Answers to forms: what is shown once, and what is said of mistakes.
    SitePage("key-fresh", "account/keys", "beginner", form=(("name", "Evening run"),)),
    SitePage("key-rotated", "account/keys/{key}/rotate", "owner", form=(("overlap", "3600"),)),
    SitePage(
        "key-refused",
        "account/keys",
        "owner",
        form=(("expires", "2001-01-01"), ("monthly_cap", "-1")),
    ),
    SitePage("sign-up-refused", "account/signup/", form=(("email", "nobody"), ("password1", "1"))),
    SitePage(
        "log-in-refused",
        "account/login/",
        form=(("login", "nobody-{language}@example.com"), ("password", "wrong")),
    ),
    SitePage(
        "password-refused",
        "account/password/change/",
        "owner",
        form=(("oldpassword", "wrong"), ("password1", "1"), ("password2", "2")),
    ),
    SitePage(
        "address-refused",
        "account/email/",
        "owner",
        form=(("email", "nobody"), ("action_add", "")),
    ),
    SitePage("delete-refused", "account/delete/", "owner", form=(("password", "wrong"),)),
)
# Routes under a language that answer a GET with no page of their own.
NO_PAGES: Final = {
    "account_buy_plan": "leads to the plans",
    "account_buy_pack": "leads to the plans",
    "account_portal": "leads to the plans",
    "account_token_revoke": "takes a POST",
    "account_tokens_revoke": "takes a POST",
    "account_confirm_login_code": "leads to the log-in: there are no codes by mail",
    "mfa_download_recovery_codes": "is a file",
}
# Parts of pages, which a script puts in.
PARTS: Final = {"editor_left": "left", "account_purchase_state": "account/billing/success/state"}


def names_of_routes() -> set[str]:
    """Return the name of every route under a language."""
    under_language = get_resolver().url_patterns
    return {
        str(route.name)
        for pattern in under_language
        if isinstance(pattern, URLResolver) and str(pattern.pattern) == "en/"
        for route in _routes(pattern)
    }


def _routes(resolver: URLResolver) -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        else:
            yield from _routes(pattern)
