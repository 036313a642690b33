"""What Django and allauth say on our pages, where their translations are missing or unlike ours.

Our own catalogues say it instead; nothing here is called. The English one holds nothing but what we
say otherwise than they do.
"""

from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

SENTENCES: Final = (
    ngettext_lazy(
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
        "min_length",
    ),
)
# Persian: they say "thou" in some, and have two words for "e-mail". Korean: "Remember Me".
TONE: Final = (
    _("Are you sure you want to sign out?"),
    _("Confirm"),
    _("Confirm Access"),
    _("Confirmation email sent to %(email)s."),
    _("Forgot your password?"),
    _("Incorrect password."),
    _("Please type your current password."),
    _("Primary email address set."),
    _("Remember Me"),
    _("Removed email address %(email)s."),
    _("Successfully signed in as %(name)s."),
    _("This email address is already associated with this account."),
    _("Unable to confirm %(email)s because it is already confirmed by a different account."),
    _("You cannot remove your primary email address (%(email)s)."),
    _("You have confirmed %(email)s."),
    _("You have signed out."),
    _("You must type the same password each time."),
    _("Your password is now changed."),
)
