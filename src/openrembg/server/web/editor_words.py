"""What the editor's scripts say about pictures on their way, in the page's language.

They put numbers and names in the place of the `%(…)s`.
"""

from django.utils.translation import gettext as _


def editor_words() -> dict[str, str]:
    """Return the sentences by the names that the scripts know them by."""
    return {**_states(), **_reasons(), **_pauses(), **_folders(), **_buttons()}


def _states() -> dict[str, str]:
    return {
        "waiting": _("Waiting"),
        "uploading": _("Uploading: %(percent)s"),
        "working": _("Removing the background"),
        "done": _("Done"),
        "done_credit": _("Done. Cost: 1 credit."),
        "done_today": _("Done. It counts for today."),
        "done_paid": _("Done. Already paid for."),
        "nothing": _("Nothing was found, so it is free."),
        "failed": _("This did not work."),
        "count": _("Done: %(done)s of %(all)s"),
        "count_failed": _("Done: %(done)s of %(all)s. Not done: %(failed)s."),
        "event": _("%(name)s: %(state)s"),
    }


def _reasons() -> dict[str, str]:
    return {
        "empty": _("This file is empty."),
        "large": _("This file has %(size)s MB. A picture may have %(most)s MB at most."),
        "kind": _("This file is not a PNG, JPEG, WebP or BMP picture."),
        "heic": _("HEIC pictures cannot be opened here. Save it as JPEG and add it again."),
        "gone": _("This file can no longer be read. Choose it again."),
        "broken": _("This picture is damaged and cannot be opened."),
        "sides": _("This picture is too large. Each side may have %(most)s pixels at most."),
        "refused": _("The server does not take this picture."),
        "network": _("The connection was lost on the way."),
        "server": _("Something went wrong on the server. It cost nothing."),
        "no_camera": _("The camera cannot be used. Allow it in your browser and try again."),
    }


def _pauses() -> dict[str, str]:
    return {
        "rate": _(
            "That was all for this minute. The next pictures follow by themselves in %(seconds)s s."
        ),
        "busy": _("The server is busy. It goes on by itself in %(seconds)s s."),
        "offline": _("You are offline. It goes on by itself as soon as you are connected."),
    }


def _folders() -> dict[str, str]:
    return {
        "left_out": _("Left out, because they are not PNG, JPEG, WebP or BMP: %(count)s"),
        "no_pictures": _("No PNG, JPEG, WebP or BMP picture was found in the folder."),
    }


def _buttons() -> dict[str, str]:
    return {
        "again": _("Try again: %(name)s"),
        "remove": _("Remove %(name)s"),
        "making": _("Making the file …"),
        "progress": _("Progress of %(name)s"),
        "photo": _("photo"),
    }
