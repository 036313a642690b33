"""What people read on a page: its text, and what is said by alt, title, label and script."""

import json
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

# Programs, what users wrote, and what their browsers say.
NOT_READ = {"script", "style", "code", "pre", "kbd", "samp", "bdi", "textarea"}
SAID = ("alt", "title", "aria-label", "aria-description", "placeholder", "label")
VOID = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"),
    *("track", "wbr"),
}

Attributes = list[tuple[str, str | None]]


class PageText(HTMLParser):
    """Reads a page. language, side: what its root says. alternates: hreflang -> address.

    chunks: pieces of text without a tag between them, with single spaces.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.language = self.side = ""
        self.alternates: dict[str, str] = {}
        self.chunks: list[str] = []
        # Of the elements that are open: whether anybody reads what is in them.
        self._open: list[tuple[str, bool]] = []
        self._json = False
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.chunks)

    @property
    def latin(self) -> float:
        """How many of the letters are Latin ones, from 0 to 1."""
        letters = [letter for letter in self.text if letter.isalpha()]
        latin = [letter for letter in letters if unicodedata.name(letter).startswith("LATIN")]
        return len(latin) / max(1, len(letters))

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Go into an element."""
        facts = {name: text or "" for name, text in attrs}
        if tag == "html":
            self.language, self.side = facts.get("lang", ""), facts.get("dir", "")
        if tag == "link" and facts.get("rel") == "alternate" and "hreflang" in facts:
            self.alternates[facts["hreflang"]] = facts["href"]
        is_read = self._is_read and tag not in NOT_READ and self._is_of_page(facts)
        if is_read:
            self._add(*(facts[name] for name in SAID if name in facts))
            if tag == "input" and facts.get("type") in ("submit", "button", "reset"):
                self._add(facts.get("value", ""))
            if tag == "meta" and facts.get("name") == "description":
                self._add(facts["content"])
        self._json = tag == "script" and facts.get("type") == "application/json"
        if tag not in VOID:
            self._open.append((tag, is_read))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        """Read an element that ends itself, as those of SVG do."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element, and those in it that HTML lets end by themselves."""
        self._json = False
        if all(name != tag for name, _ in self._open):
            return
        while self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Read a piece of text, or a script's words."""
        if self._json:
            self._add(*strings(json.loads(data)))
        elif self._is_read:
            self._add(data)

    @property
    def _is_read(self) -> bool:
        return not self._open or self._open[-1][1]

    def _is_of_page(self, facts: dict[str, str]) -> bool:
        return facts.get("translate") != "no" and facts.get("lang", self.language) == self.language

    def _add(self, *texts: str) -> None:
        self.chunks += [" ".join(text.split()) for text in texts if text.strip()]


def strings(value: Any) -> Iterator[str]:
    """Yield the texts of JSON that are sentences, not names of things."""
    if isinstance(value, str) and " " in value:
        yield re.sub(r"<(code|bdi|kbd)\b.*?</\1>|<[^>]*>", " ", value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from strings(part)
