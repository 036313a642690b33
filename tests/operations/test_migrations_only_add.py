"""What a migration may do while servers of the release before still serve on the same database."""

import importlib
import pkgutil

import pytest
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED

APPS = ("accounts", "billing", "quota", "removal")
# The tables of the first release, which no older server uses.
FIRST = {
    *(f"accounts.{name}" for name in ("0001_initial", "0002_cache", "0003_usage_mails")),
    *("accounts.0004_session_of_a_token", "billing.0001_initial", "billing.0002_plans"),
    *("billing.0003_stripe", "billing.0004_packs", "quota.0001_initial"),
    *("quota.0002_next_period", "quota.0003_usage_warnings", "quota.0004_deliveries"),
    "removal.0001_initial",
}
# CONTRIBUTING.md says how the others are done in two releases.
ADDS = (
    *(migrations.CreateModel, migrations.AddIndex, migrations.RunPython, migrations.RunSQL),
    *(migrations.AlterModelOptions, migrations.AlterModelManagers),
)


def operations() -> dict[str, list[Operation]]:
    found = {}
    for app in APPS:
        package = importlib.import_module(f"openrembg.server.{app}.migrations")
        for module in pkgutil.iter_modules(package.__path__):
            migration = importlib.import_module(f"{package.__name__}.{module.name}").Migration
            found[f"{app}.{module.name}"] = list(migration.operations)
    return found


def is_harmless(operation: Operation) -> bool:
    """Say whether a server that does not know of an operation can go on reading and writing."""
    if isinstance(operation, migrations.AddField):
        field = operation.field
        # Django's own default is not the database's: an older server's INSERT would have none.
        has_default = field.db_default is not NOT_PROVIDED
        return bool(field.null or has_default or field.many_to_many)
    return isinstance(operation, ADDS)


@pytest.mark.parametrize("name", sorted(operations().keys() - FIRST) or ["none yet"])
def test_a_later_migration_only_adds(name: str) -> None:
    harmful = [one for one in operations().get(name, []) if not is_harmless(one)]
    assert not harmful, f"{name}: an older server would fail on {harmful}"


def test_what_would_stop_an_older_server_is_known() -> None:
    from django.db import models

    required = migrations.AddField("balance", "more", models.IntegerField(default=0))
    optional = migrations.AddField("balance", "more", models.IntegerField(null=True))
    with_default = migrations.AddField("balance", "more", models.IntegerField(db_default=0))
    assert [is_harmless(one) for one in (required, optional, with_default)] == [False, True, True]
    assert not is_harmless(migrations.RemoveField("balance", "head"))
    assert not is_harmless(migrations.RenameField("balance", "head", "end"))
