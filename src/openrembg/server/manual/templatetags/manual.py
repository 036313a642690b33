"""What the documentation's templates are written with: examples, and what is on a page."""

import re
from dataclasses import dataclass
from typing import Any, Final

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.utils.html import strip_tags
from django.utils.safestring import SafeString, mark_safe

from openrembg.server.manual import examples

register = template.Library()

_HEADING: Final = re.compile(r'<h2 id="([a-z0-9-]+)">(.*?)</h2>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a page. anchor: its id."""

    anchor: str
    text: str


@register.inclusion_tag("manual/example.html", takes_context=True)
def example(context: Context, name: str, title: str = "") -> dict[str, Any]:
    """Show a file of manual/examples. title: what it is, else what it is written in."""
    return {"code": examples.shown(name, context["site"]), "title": title or examples.kind(name)}


@register.tag("article")
def article(parser: Parser, _token: Token) -> "ArticleNode":
    """Show what is between the tags, after a list of its headings of the second level."""
    body = parser.parse(("endarticle",))
    parser.delete_first_token()
    return ArticleNode(body)


class ArticleNode(template.Node):
    """An article, and before it the links to its headings."""

    def __init__(self, body: NodeList) -> None:
        """Take the nodes between the tags."""
        self.nodelist = body

    def render(self, context: Context) -> SafeString:
        """Return the HTML."""
        text = self.nodelist.render(context)
        aside = context.template.engine.get_template("manual/aside.html")  # type: ignore[union-attr]
        with context.push(headings=headings(text)):
            return mark_safe(aside.render(context) + f'<div class="text">{text}</div>')  # noqa: S308


def headings(text: str) -> tuple[Heading, ...]:
    """Return the headings of the second level in an article's HTML."""
    return tuple(Heading(anchor, strip_tags(inner)) for anchor, inner in _HEADING.findall(text))
