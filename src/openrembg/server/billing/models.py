"""What can be bought. Plans are data: an operator may add, change and rename them."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

FREE = "Free"
MAX_LABEL = 100


class Plan(models.Model):
    """Credits for each period, and how fast they may be used.

    label: free text that clients see and never parse. credits: included in each period.
    per_minute: requests a minute; 0 refuses all, -1 sets no limit.
    """

    label = models.CharField(_("label"), max_length=MAX_LABEL, unique=True)
    credits = models.PositiveBigIntegerField(_("credits a period"))
    per_minute = models.IntegerField(_("requests a minute"), default=300)

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(per_minute__gte=-1), name="plan_limit_is_a_limit"
            ),
        ]

    def __str__(self) -> str:
        return self.label
