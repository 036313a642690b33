"""In which session a user token was made, so that signing out ends it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_usage_mails")]

    operations = [
        migrations.AddField(
            model_name="usertoken",
            name="session_digest",
            field=models.CharField(blank=True, default="", max_length=64),
        )
    ]
