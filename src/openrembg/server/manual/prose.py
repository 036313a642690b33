"""Sentences of tables as HTML: what stands between backticks is code."""

import re
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

_CODE: Final = re.compile(r"`([^`]+)`")
# Among letters from right to left, a minus would end up behind its number.
_NEGATIVE: Final = re.compile(r"(?<!\S)-\d+")


def codes(*words: str) -> str:
    """Return words as a list of code, written as the language of the moment separates them."""
    return gettext(", ").join(f"`{word}`" for word in words)


def in_html(text: str) -> SafeString:
    """Return a sentence with its code marked as such, written from left to right everywhere."""
    with_code = _CODE.sub(r'<code dir="ltr">\1</code>', escape(text))
    return mark_safe(_NEGATIVE.sub(r'<bdi dir="ltr">\g<0></bdi>', with_code))  # noqa: S308
