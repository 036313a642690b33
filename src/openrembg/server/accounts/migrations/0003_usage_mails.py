"""Whether a user wants mails about usage."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_cache")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="usage_mails",
            field=models.BooleanField(default=True, verbose_name="mails about usage"),
        )
    ]
