"""The pages of the developer documentation, in the order in which they are read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Page:
    """A page. name: the end of its address, empty for the first; summary: one sentence."""

    name: str
    title: "_StrPromise"
    summary: "_StrPromise"

    @property
    def template(self) -> str:
        """The template that has the page's text."""
        return f"manual/{(self.name or 'start').replace('-', '_')}.html"

    @property
    def url(self) -> str:
        """Where the page is, in the language of the moment."""
        return reverse("manual_page", args=[self.name]) if self.name else reverse("manual")


PAGES: Final = (
    Page(
        "",
        gettext_lazy("Quick start"),
        gettext_lazy("Send a picture, get the cut-out back. One request is all it takes."),
    ),
    Page(
        "curl",
        gettext_lazy("curl"),
        gettext_lazy("Commands to copy: formats, sizes, colours, masks and whole folders."),
    ),
    Page(
        "http",
        gettext_lazy("HTTP"),
        gettext_lazy("The request and the answer as they travel, with every header."),
    ),
    Page(
        "python",
        gettext_lazy("Python"),
        gettext_lazy(
            "Call the API with the client or requests, or compute cut-outs in your own process."
        ),
    ),
    Page(
        "node",
        gettext_lazy("Node.js"),
        gettext_lazy("Call the API with rembg.js, with fetch, or with the published client."),
    ),
    Page(
        "parameters",
        gettext_lazy("Parameters"),
        gettext_lazy("Every field of the request: what it does, its values and its default."),
    ),
    Page(
        "progress",
        gettext_lazy("Progress"),
        gettext_lazy("Show how far an upload and a download are, and where the time goes."),
    ),
    Page(
        "usage",
        gettext_lazy("Usage and credits"),
        gettext_lazy("What costs a credit, what does not, and how to ask what is left."),
    ),
    Page(
        "errors",
        gettext_lazy("Errors"),
        gettext_lazy("Every error with its status, code and message, and what to do about it."),
    ),
    Page(
        "limits",
        gettext_lazy("Limits"),
        gettext_lazy("How many requests, how large a picture, and how long things may take."),
    ),
    Page(
        "self-hosting",
        gettext_lazy("Self-hosting"),
        gettext_lazy("Run the server on a machine of your own: settings, upkeep and backups."),
    ),
)
