"""The table that the pages' cache may use; Django's DatabaseCache knows it without a model."""

from django.db import migrations, models

from openrembg.server.settings import CACHE_TABLE


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.CreateModel(
                    name="CacheEntry",
                    fields=[
                        ("cache_key", models.CharField(max_length=255, primary_key=True)),
                        ("value", models.TextField()),
                        ("expires", models.DateTimeField(db_index=True)),
                    ],
                    options={"db_table": CACHE_TABLE},
                )
            ],
        )
    ]
