"""Plans on the admin pages."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from openrembg.server.billing.models import FREE, Plan
from openrembg.server.web.operators import RowAdmin


@admin.register(Plan)
class PlanAdmin(RowAdmin):
    """What there is to have. The plan of those who have none keeps its name and stays."""

    list_display = ("label", "credits", "per_minute", "users")
    ordering = ("credits", "label")
    search_fields = ("label",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the plans, each with the number of its users."""
        plans: Any = super().get_queryset(request).annotate(users=Count("balances"))
        return cast(QuerySet[Any], plans)

    @admin.display(description=_("users"), ordering="users")
    def users(self, plan: Any) -> int:
        """Return how many users have the plan."""
        return int(plan.users)

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,
    ) -> tuple[str, ...]:
        """Return what may not be changed."""
        return ("label",) if _is_free(obj) else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether a plan may be deleted; one that somebody has is kept by the database."""
        return not _is_free(obj) and super().has_delete_permission(request, obj)


def _is_free(plan: Model | None) -> bool:
    return isinstance(plan, Plan) and plan.label == FREE
