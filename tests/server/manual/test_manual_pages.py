"""The developer documentation as a reader gets it: complete, linked, in all languages."""

import functools
import itertools
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from rmbg_client import send

from openrembg.matting.options import Options
from openrembg.matting.pipeline import Cutout
from openrembg.server import cors, description
from openrembg.server.manual import examples
from openrembg.server.manual.contents import PAGES

LANGUAGES: Final = [code for code, _ in settings.LANGUAGES]
NAMES: Final = [page.name for page in PAGES]
EVERY_PAGE: Final = [(language, name) for language in LANGUAGES for name in NAMES]
# Routes that the description of the API leaves out.
BESIDE_THE_API: Final = ("GET /metrics", "GET /api/openapi", "GET /api/docs")
OF_THE_SERVER: Final = (
    *("Content-Type", "Content-Length", "X-Content-Type-Options", "Content-Security-Policy"),
    *("Referrer-Policy", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"),
)
OF_A_PREFLIGHT: Final = (
    *("Access-Control-Allow-Methods", "Access-Control-Allow-Headers"),
    "Access-Control-Max-Age",
)


@dataclass
class Reading(HTMLParser):
    """What is on a page."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    main: str = ""
    in_place: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "link", "img", "br", "input", "hr"):
            self._open.append(tag)
        self.in_place += [name for name in given if name == "style" or name.startswith("on")]
        if given.get("id"):
            self.ids.append(given["id"] or "")
            if tag == "h2":
                self.headings.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag == "pre":
            self.examples.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "main" in self._open:
            self.main += data
        if "pre" in self._open:
            self.examples[-1] += data


def address(language: str, name: str) -> str:
    return f"/{language}/api-usage/{name}".rstrip("/")


@functools.cache
def page_of(language: str, name: str) -> Reading:
    """Return a page, read once."""
    response = Client().get(address(language, name))
    assert response.status_code == 200, address(language, name)
    reading = Reading()
    reading.feed(response.content.decode())
    return reading


@pytest.mark.parametrize(("language", "name"), EVERY_PAGE)
def test_a_page_has_its_title_and_runs_nothing_in_place(
    client: Client, language: str, name: str
) -> None:
    answer = client.get(address(language, name))
    html = answer.content.decode()
    with translation.override(language):
        title = str(PAGES[NAMES.index(name)].title)
    assert re.findall(r"<h1>(.*?)</h1>", html) == [title]
    assert f"<title>{title} – " in html
    side = html[html.index('class="side"') : html.index("<article>")]
    current = re.findall(r'href="([^"]*)" aria-current="page"', side)
    assert current == [address(language, name)]
    assert page_of(language, name).in_place == []


def test_a_page_that_is_not_there_is_404(client: Client) -> None:
    for path in ("/en/api-usage/nothing", "/en/api-usage/start", "/fa/api-usage/page"):
        assert client.get(path).status_code == 404


def test_the_documentation_is_found_without_a_language(client: Client) -> None:
    for path in ("/api-usage", "/api-usage/curl"):
        answer = client.get(path, headers={"Accept-Language": "ja"})
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/ja{path}")


@pytest.mark.parametrize(("language", "name"), EVERY_PAGE)
def test_every_link_and_anchor_leads_somewhere(client: Client, language: str, name: str) -> None:
    here = page_of(language, name)
    assert len(here.ids) == len(set(here.ids)), "an id is there twice"
    for link in here.links:
        target = urlsplit(urljoin(address(language, name), link))
        if target.netloc or not target.path.startswith(f"/{language}/api-usage"):
            continue
        there = page_of(language, target.path.removeprefix(f"/{language}/api-usage").strip("/"))
        assert not target.fragment or target.fragment in there.ids, link


def test_no_link_leads_to_nothing_or_to_another_site(client: Client, database: object) -> None:
    links = {link for name in NAMES for link in page_of("en", name).links}
    for link in sorted(links):
        if link.startswith("#"):
            continue
        assert link.startswith("/"), link
        assert client.get(link, follow=False).status_code in (200, 302), link


@pytest.mark.parametrize(("language", "name"), EVERY_PAGE)
def test_what_is_on_a_page_is_listed_on_it(language: str, name: str) -> None:
    here = page_of(language, name)
    assert here.headings
    within = [link[1:] for link in here.links if link[:1] == "#" and link != "#content"]
    assert within[: len(here.headings)] == here.headings


def test_the_pages_follow_one_another() -> None:
    for first, second in itertools.pairwise(NAMES):
        assert address("en", second) in page_of("en", first).links
        assert address("en", first) in page_of("en", second).links


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_address_of_the_api_is_documented(client: Client, language: str) -> None:
    paths: dict[str, dict[str, Any]] = client.get("/api/openapi").json()["paths"]
    operations = [f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs]
    assert len(operations) >= 7
    text = page_of(language, "").main
    assert [one for one in (*operations, *BESIDE_THE_API) if one not in text] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_header_of_an_answer_is_documented(language: str) -> None:
    names = {*description.HEADERS, *cors.EXPOSED, *OF_THE_SERVER, *OF_A_PREFLIGHT}
    text = page_of(language, "http").main
    assert sorted(name for name in names if name not in text) == []


@pytest.mark.parametrize("fields", [(), (("w", "abc"),)])
def test_an_answer_has_no_header_that_is_not_documented(
    client: Client, fields: tuple[tuple[str, str], ...]
) -> None:
    text = page_of("en", "http").main
    assert [name for name in send(client, *fields).headers if name not in text] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_header_that_a_client_may_send_is_documented(language: str) -> None:
    names = [parameter["name"] for parameter in description.PARAMETERS.values()]
    names += ["x-api-key", "Authorization", "X-Request-Id"]
    text = page_of(language, "http").main
    assert [name for name in names if name not in text] == []


def test_browsers_remember_a_preflight_as_long_as_the_page_says() -> None:
    assert cors.MAX_AGE_S == 2 * 60 * 60
    assert "for the two hours of Access-Control-Max-Age" in page_of("en", "http").main


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_the_same_in_every_language(name: str) -> None:
    for language in LANGUAGES:
        assert page_of(language, name).examples == page_of("en", name).examples


def test_every_example_is_shown_once_or_more_and_nothing_else_is() -> None:
    files = {examples.for_reader(name, "http://testserver") for name in examples.sources()}
    shown = {code for name in NAMES for code in page_of("en", name).examples}
    assert files == shown


def test_every_file_of_the_examples_has_a_kind() -> None:
    assert sorted(path.name for path in examples.FOLDER.iterdir() if path.is_file()) == sorted(
        examples.sources()
    )


def test_every_example_is_known_to_a_test_that_runs_it() -> None:
    tests = Path(__file__).parents[2]
    known = "".join(path.read_text() for path in tests.glob("*/**/test_*manual*.py"))
    # A page's script is run with the page.
    known += examples.sources()["progress.html"]
    named = set(re.findall(r"[\w-]+\.\w+", known))
    assert sorted(examples.sources().keys() - named) == []


def test_commands_quote_what_the_shell_would_take_for_a_comment() -> None:
    quoted = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""")
    for name, code in examples.sources().items():
        if name.endswith(".sh"):
            rest = re.sub(r"(?m)(^|\s)#.*", "", quoted.sub("", code))
            assert "#" not in rest, name


def test_examples_name_the_server_that_was_asked(client: Client) -> None:
    html = client.get("/en/api-usage", headers={"Host": "cut.example:8443"}).content.decode()
    assert "http://cut.example:8443/rmbg" in html
    assert examples.SITE not in html


def test_examples_name_the_public_address_where_there_is_one(client: Client, furnish: Any) -> None:
    furnish(public_url="https://api.example/base")
    html = client.get("/en/api-usage/http").content.decode()
    assert "https://api.example/base/rmbg" in html
    assert "Host: api.example\n" in html


def test_the_key_has_a_place_of_its_own_in_the_examples(client: Client) -> None:
    html = client.get("/en/api-usage").content.decode()
    assert '<span class="your-key">YOUR_API_KEY</span>' in html
    for name in NAMES:
        html = client.get(address("en", name)).content.decode()
        outside = html.replace('<span class="your-key">YOUR_API_KEY</span>', "")
        assert outside.count("YOUR_API_KEY") == 1, "the field's own placeholder is the only other"


def test_code_is_escaped() -> None:
    code = examples.shown("curl_folder.sh", 'http://"><script>')
    assert "<script>" not in code
    assert "&lt;script&gt;" in code


def test_strings_and_comments_are_marked_and_the_code_stays_the_same() -> None:
    for name in examples.sources():
        reading = Reading()
        reading.feed(f"<pre>{examples.shown(name, examples.SITE)}</pre>")
        assert reading.examples == [examples.sources()[name]]
    assert '<span class="comment"># At most 800' in examples.shown("curl_size.sh", examples.SITE)
    assert '<span class="string">&quot;bg_color=#f5f5f5&quot;</span>' in examples.shown(
        "curl_color.sh", examples.SITE
    )


def test_the_installed_packages_are_those_of_the_examples() -> None:
    package = Path(__file__).parents[2] / "wire" / "node" / "package.json"
    needed = json.loads(package.read_text())["dependencies"]
    words = examples.sources()["node_client_install.sh"].split()
    assert words == ["npm", "install", *(word for word in words[2:] if word in needed)]
    assert examples.sources()["python_install.sh"] == "python -m pip install requests"


def test_every_option_of_the_library_is_named() -> None:
    text = page_of("en", "python").main
    assert [name for name in (*Options.__slots__, *Cutout.__slots__) if name not in text] == []


def test_the_door_to_a_key_depends_on_the_reader(client: Client, furnish: Any) -> None:
    assert "/en/account/signup/" in page_of("en", "").links
    furnish(sign_up="closed")
    html = client.get("/en/api-usage").content.decode()
    assert "/en/account/signup/" not in html
    assert "ask the operator" in html
