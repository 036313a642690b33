"""Seed the plans. Their labels, credits and rates are the operator's to change afterwards."""

from django.db import migrations

PLANS = (
    ("Free", 50, 20),
    ("Basic-1000", 1000, 300),
    ("Pro-5000", 5000, 300),
    ("Premium-20000", 20000, 300),
)


def seed(apps, _schema_editor):
    plan = apps.get_model("billing", "Plan")
    for label, credits_, per_minute in PLANS:
        plan.objects.get_or_create(
            label=label, defaults={"credits": credits_, "per_minute": per_minute}
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
