"""What Django says on our pages and has not translated into all of our languages yet.

Our own catalogues do; nothing here is called.
"""

from typing import Final

from django.utils.translation import ngettext_lazy

SENTENCES: Final = (
    ngettext_lazy(
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
        "min_length",
    ),
)
