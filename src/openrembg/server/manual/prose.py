"""Sentences of tables as HTML: what stands between backticks is code."""

import re
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_CODE: Final = re.compile(r"`([^`]+)`")
# Among letters from right to left, a minus would end up behind its number.
_NEGATIVE: Final = re.compile(r"(?<!\S)-\d+")


def in_html(text: str) -> SafeString:
    """Return a sentence with its code marked as such, written from left to right everywhere."""
    with_code = _CODE.sub(r'<code dir="ltr">\1</code>', escape(text))
    return mark_safe(_NEGATIVE.sub(r'<bdi dir="ltr">\g<0></bdi>', with_code))  # noqa: S308
