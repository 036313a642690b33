"""Users and their credentials on the admin pages."""

from typing import TYPE_CHECKING, Any, ClassVar

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.forms import languages
from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.web.operators import ReadOnly

if TYPE_CHECKING:  # Django's own classes take no parameters.
    AddressInline = admin.TabularInline[EmailAddress, User]
    OneUserAdmin = admin.ModelAdmin[User]
    OneUserForm = forms.ModelForm[User]
else:
    AddressInline, OneUserAdmin = admin.TabularInline, admin.ModelAdmin
    OneUserForm = forms.ModelForm


class Addresses(AddressInline):
    """A user's addresses, to be read."""

    model = EmailAddress
    fields = ("email", "verified", "primary")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return that nobody may: an address is its owner's to confirm."""
        return False


class UserForm(OneUserForm):
    """What staff may change of a user."""

    language = forms.ChoiceField(label=_("language"), choices=languages)


@admin.register(User)
class UserAdmin(OneUserAdmin):
    """Who has an account. Accounts are made by signing up, or by `openrembg admin create-user`."""

    form: Any = UserForm
    list_display = ("email", "language", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "language")
    search_fields = ("email",)
    ordering = ("-date_joined",)
    fields = (
        *("email", "language", "is_active", "is_staff", "is_superuser"),
        *("groups", "user_permissions", "date_joined", "last_login"),
    )
    readonly_fields = ("email", "date_joined", "last_login")
    filter_horizontal = ("groups", "user_permissions")
    inlines: ClassVar[list[Any]] = [Addresses]

    def get_readonly_fields(
        self,
        request: HttpRequest,
        obj: Any = None,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Return what may not be changed; who may do what is for superusers alone to say."""
        powers = ("is_staff", "is_superuser", "groups", "user_permissions")
        is_superuser = request.user.is_authenticated and request.user.is_superuser
        return self.readonly_fields if is_superuser else (*self.readonly_fields, *powers)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return that nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether somebody may change users; a superuser, for superusers alone."""
        return _is_equal(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether somebody may delete users; a superuser, for superusers alone."""
        return _is_equal(request, obj) and super().has_delete_permission(request, obj)


class CredentialAdmin(ReadOnly):
    """Credentials as their owners see them; not even the digest is shown."""

    list_display = ("prefix", "name", "user", "created_at", "expires_at", "revoked_at")
    search_fields = ("user__email", "name", "prefix")
    list_select_related = ("user",)
    fields = (
        *("user", "name", "prefix", "created_at", "expires_at", "revoked_at", "last_used_at"),
    )


admin.site.register(ApiKey, CredentialAdmin)
admin.site.register(UserToken, CredentialAdmin)


def _is_equal(request: HttpRequest, user: User | None) -> bool:
    if user is None or not user.is_superuser:
        return True
    return request.user.is_authenticated and request.user.is_superuser
