"""What the editor's stage, controls and downloads say, in the page's language.

The scripts put numbers and names in the place of the `%(…)s` that are left.
"""

from typing import Final

from django.utils.translation import gettext as _

from openrembg.matting.options import MAX_ANGLE, MAX_SIDE
from openrembg.server.billing.money import number

LEAST_SIDE: Final = 1


def stage_words() -> dict[str, str]:
    """Return the sentences by the names that the scripts know them by."""
    return {**_stage(), **_brush(), **_fields(), **_refusals()}


def _stage() -> dict[str, str]:
    return {
        "size": _("%(width)s × %(height)s pixels"),
        "share": _("Original: %(percent)s"),
        "nothing": _(
            "Nothing was found in this picture. You can bring parts of it back with the brush."
        ),
        "no_original": _(
            "This browser cannot show the original. There is no before, and nothing to bring back."
        ),
        "no_cutout": _("This browser cannot show the cut-out. You can still download it as WebP."),
    }


def _brush() -> dict[str, str]:
    return {
        "restore_on": _("The brush brings back. Arrow keys move it, the space bar lowers it."),
        "erase_on": _("The brush erases. Arrow keys move it, the space bar lowers it."),
        "brush_off": _("The brush is put away."),
        "brush_down": _("The brush is down."),
        "brush_up": _("The brush is up."),
        "undone": _("The last stroke is undone."),
        "redone": _("The stroke is back."),
        "reset": _("All strokes are gone. “Undo” brings them back."),
    }


def _fields() -> dict[str, str]:
    sides = {"least": number(LEAST_SIDE), "most": number(MAX_SIDE)}
    angles = {"least": f"−{number(int(MAX_ANGLE))}", "most": number(int(MAX_ANGLE))}
    return {
        "wrong_w": _("The width is a whole number from %(least)s to %(most)s.") % sides,
        "wrong_h": _("The height is a whole number from %(least)s to %(most)s.") % sides,
        "wrong_angle": _("The angle is a number from %(least)s to %(most)s.") % angles,
        "wrong_picture": _("This browser cannot open this file as a picture."),
    }


def _refusals() -> dict[str, str]:
    return {
        "undecodable": _(
            "This browser cannot open this picture. Without changes, as WebP, it can be downloaded."
        ),
        "too_large": _(
            "This browser cannot make a picture of this size. Choose a smaller size, or download "
            "the cut-out without changes, as WebP."
        ),
        "no_webp": _("This browser cannot write WebP. Please choose PNG."),
        "not_made": _("The file could not be made. Try again, or choose another format."),
    }
