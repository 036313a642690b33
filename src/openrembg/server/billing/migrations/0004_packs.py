"""Seed the credit packs. Labels, credits and prices are the operator's to change afterwards."""

from django.db import migrations

PACKS = (("100 credits", 100), ("1,000 credits", 1000), ("10,000 credits", 10_000))


def seed(apps, _schema_editor):
    pack = apps.get_model("billing", "CreditPack")
    for label, credits_ in PACKS:
        pack.objects.get_or_create(label=label, defaults={"credits": credits_})


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_stripe")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
