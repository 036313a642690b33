"""A Stripe of ours: a real HTTP server with the API, the Checkout page, the portal and webhooks.

with FakeStripe() as stripe: the server under test gets STRIPE_API_BASE and STRIPE_PAGES from
`environment`; `webhooks_to` is its address for events, which it gets signed and after `delay_s`.
Without such an address they wait in `untold`.
"""

import html
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fakes.stripe_account import Account, Form, Refused, Session
from fakes.stripe_events import Event, Part, signed

KEY: Final = "sk_test_51QLk3aFakeOne"
SECRET: Final = "whsec_fake_one"
TELL_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the API. headers: with names in lower case."""

    method: str
    path: str
    form: Form
    headers: dict[str, str]


@dataclass(slots=True)
class Kept:
    """What a request with an Idempotency-Key was and was answered; None: it still runs."""

    body: bytes
    answer: tuple[int, Part] | None = None


@dataclass(slots=True)
class Faults:
    """What the API does wrong. pauses_s: before the next answers. status: of every answer.

    meanwhile: called once before an answer, for what happens elsewhere in just this moment.
    hangs: nothing is answered while it is set.
    """

    meanwhile: Callable[[], None] | None = None
    pauses_s: list[float] = field(default_factory=list)
    status: int | None = None
    text: str | None = None
    hangs: threading.Event = field(default_factory=threading.Event)


class FakeStripe:
    """One account of it."""

    def __init__(self, account: Account | None = None) -> None:
        self.account = account or Account()
        self.faults = Faults()
        self.calls: list[Call] = []
        self.webhooks_to: str | None = None
        self.delay_s = 0.0
        self.untold: list[Event] = []
        self.told: list[tuple[str, int]] = []
        self.keys: dict[str, Kept] = {}
        self.lock = threading.RLock()
        self._events: queue.Queue[tuple[float, Event] | None] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.02,)),
            threading.Thread(target=self._tell),
        ]

    def __enter__(self) -> "FakeStripe":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.faults.hangs.clear()
        self.stop_answering()
        self._events.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a server has to be told to use it."""
        return {
            "STRIPE_API_BASE": self.url,
            "STRIPE_PAGES": self.url,
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_WEBHOOK_SECRET": SECRET,
        }

    def stop_answering(self) -> None:
        """Be away: nobody listens at the port any more."""
        self._server.shutdown()
        self._server.server_close()

    def happened(self, events: list[Event]) -> None:
        """Tell of events after the delay, in their order."""
        for event in events:
            if self.webhooks_to is None:
                self.untold.append(event)
            else:
                self._events.put((time.monotonic() + self.delay_s, event))

    def answer(self, call: Call, body: bytes) -> tuple[int, Part]:
        """Return what the API answers."""
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return 401, Refused(401, "Invalid API Key provided: sk_test_*****One").body
        try:
            with self._once(call, body) as kept:
                if kept.answer is None:
                    kept.answer = self._do(call)
                return kept.answer
        except Refused as refused:
            return refused.status, refused.body

    @contextmanager
    def _once(self, call: Call, body: bytes) -> Iterator[Kept]:
        """Let requests with one Idempotency-Key have one answer."""
        name = call.headers.get("idempotency-key") if call.method == "POST" else None
        if name is None:
            yield Kept(body)
            return
        with self.lock:
            kept, is_new = self.keys.get(name), name not in self.keys
            kept = self.keys.setdefault(name, Kept(body))
        if kept.body != body:
            text = "Keys for idempotent requests can only be used with the same parameters."
            raise Refused(400, text, code="idempotency")
        if not is_new and kept.answer is None:
            text = "There is currently another in-progress request using this Stripe key."
            raise Refused(409, text, code="idempotency_key_in_use")
        try:
            if is_new:
                self._pause()
            yield kept
        except Refused:
            del self.keys[name]
            raise

    def _pause(self) -> None:
        if self.faults.pauses_s:
            time.sleep(self.faults.pauses_s.pop(0))

    def _do(self, call: Call) -> tuple[int, Part]:
        with self.lock:
            match call.method, call.path.strip("/").split("/"):
                case "POST", ["v1", "checkout", "sessions"]:
                    return 200, self.account.open_session(call.form, f"{self.url}/pay/")
                case "POST", ["v1", "billing_portal", "sessions"]:
                    return 200, self.account.open_portal(call.form, f"{self.url}/portal/")
                case "GET", ["v1", "prices", price]:
                    return 200, self.account.price(price)
                case "DELETE", ["v1", "subscriptions", subscription]:
                    about, events = self.account.cancel(subscription)
                    self.happened(events)
                    return 200, about
            text = f"Unrecognized request URL ({call.method}: {call.path})."
            raise Refused(404, text)

    def _tell(self) -> None:
        while (next_one := self._events.get()) is not None:
            due, event = next_one
            time.sleep(max(0.0, due - time.monotonic()))
            body, signature = signed(event, SECRET, int(time.time()))
            self.told.append((event["type"], self._post(body, signature)))

    def _post(self, body: bytes, signature: str) -> int:
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}
        request = urllib.request.Request(str(self.webhooks_to), data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TELL_S) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0


def _handler(stripe: FakeStripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """The API under /v1/, pages for people elsewhere."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._any()

        def do_POST(self) -> None:
            self._any()

        def do_DELETE(self) -> None:
            self._any()

        def log_message(self, *_words: object) -> None:
            """Write nothing."""

        def _any(self) -> None:
            # A browser keeps connections open, which the end of a test need not wait for.
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path, form = urlsplit(self.path).path, dict(parse_qsl(body.decode()))
            if not path.startswith("/v1/"):
                self._page(path.strip("/").split("/"), form)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(str(self.command), path, form, headers)
            stripe.calls.append(call)
            faults = stripe.faults
            happens, faults.meanwhile = faults.meanwhile, None
            if happens is not None:
                happens()
            while faults.hangs.is_set():
                time.sleep(0.02)
            if faults.status is not None or faults.text is not None:
                self._send(faults.status or 200, faults.text or "{}", "application/json")
                return
            status, answer = stripe.answer(call, body)
            self._send(status, json.dumps(answer, indent=2), "application/json")

        def _page(self, path: list[str], form: Form) -> None:
            with stripe.lock:
                match path:
                    case ["pay", name] if name in stripe.account.sessions:
                        self._checkout(stripe.account.sessions[name], form)
                    case ["portal", name] if name in stripe.account.portals:
                        self._portal(stripe.account.portals[name], form)
                    case _:
                        self._send(404, "nothing here", "text/plain")

        def _checkout(self, session: Session, form: Form) -> None:
            if self.command == "GET":
                self._send(200, _checkout_page(session), "text/html; charset=utf-8")
                return
            if session.is_open:
                is_now = form.get("do") == "pay"
                stripe.happened(stripe.account.pay(session, now=is_now))
            url = session.form["success_url"].replace("{CHECKOUT_SESSION_ID}", session.id)
            self._redirect(url)

        def _portal(self, session: Session, form: Form) -> None:
            account = stripe.account
            match form.get("do"), form.get("subscription", ""), form.get("price", ""):
                case "switch", subscription, price:
                    stripe.happened(account.switch(subscription, price))
                case "end", subscription, _:
                    stripe.happened(account.end_later(subscription))
                case "go on", subscription, _:
                    stripe.happened(account.go_on(subscription))
            if self.command == "POST":
                self._redirect(f"{stripe.url}/portal/{session.id}")
                return
            self._send(200, _portal_page(account, session), "text/html; charset=utf-8")

        def _redirect(self, url: str) -> None:
            self.send_response(303)
            self.send_header("Location", url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, status: int, text: str, kind: str) -> None:
            data = text.encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Request-Id", "req_fake")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # whoever asked did not wait for a slow answer

    return Handler


def _checkout_page(session: Session) -> str:
    facts = html.escape(json.dumps(session.form, indent=1, ensure_ascii=False))
    cancel = html.escape(session.form.get("cancel_url", ""))
    return f"""<!DOCTYPE html><html lang="en"><title>Checkout</title>
<link rel="icon" href="data:,"><h1>Checkout</h1><pre>{facts}</pre>
<form method="post"><button name="do" value="pay">Pay</button>
<button name="do" value="later">Pay later</button></form><a href="{cancel}">Cancel</a></html>"""


def _portal_page(account: Account, session: Session) -> str:
    mine = [one for one in account.subscriptions.values() if one.customer == session.customer]
    forms = "".join(_portal_form(account, one.id) for one in mine)
    back = html.escape(session.form["return_url"])
    return f"""<!DOCTYPE html><html lang="en"><title>Portal</title>
<link rel="icon" href="data:,"><h1>Portal</h1>{forms}<a href="{back}">Return</a></html>"""


def _portal_form(account: Account, subscription: str) -> str:
    prices = [price.id for price in account.prices.values() if price.interval is not None]
    choices = "".join(f"<option>{html.escape(price)}</option>" for price in prices)
    return f"""<form method="post"><input type="hidden" name="subscription" value="{subscription}">
<select name="price">{choices}</select><button name="do" value="switch">Switch</button>
<button name="do" value="end">Cancel at period end</button>
<button name="do" value="go on">Resume</button></form>"""
