"""`openrembg admin`: what an operator does with users, keys, plans, credits, prices.

The verbs work on the database, whether servers run or not. Each says what is wrong in one sentence
on standard error and then ends with another code than 0.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from openrembg.cli.admin_backup import backup
from openrembg.cli.admin_credits import grant, set_plan, take_back
from openrembg.cli.admin_keys import create_key, create_token, list_keys, revoke_key
from openrembg.cli.admin_ledger import rebuild_redis, verify_ledger
from openrembg.cli.admin_links import complete_purchase, link_customer, unlink_customer
from openrembg.cli.admin_packs import pack, packs
from openrembg.cli.admin_plans import plan, plans
from openrembg.cli.admin_stripe import replay_stripe, set_price
from openrembg.cli.admin_usage import usage
from openrembg.cli.admin_users import create_user, delete_user, make_staff

admin = typer.Typer(
    name="admin",
    help="Manage users, keys, plans, credits and prices.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@admin.callback()
def _options(
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="FOLDER", help="[OPENREMBG_DATA_DIR]"),
    ] = None,
) -> None:
    """Take part in every call: the options before a verb."""
    if data_dir is not None:
        os.environ["OPENREMBG_DATA_DIR"] = str(data_dir)


admin.command()(create_user)
admin.command()(delete_user)
admin.command()(make_staff)
admin.command()(create_key)
admin.command()(create_token)
admin.command()(list_keys)
admin.command()(revoke_key)
admin.command()(usage)
admin.command()(grant)
admin.command()(take_back)
admin.command()(set_plan)
admin.command()(plans)
admin.command()(plan)
admin.command()(packs)
admin.command()(pack)
admin.command()(set_price)
admin.command()(link_customer)
admin.command()(unlink_customer)
admin.command()(complete_purchase)
admin.command()(replay_stripe)
admin.command()(verify_ledger)
admin.command()(rebuild_redis)
admin.command()(backup)
