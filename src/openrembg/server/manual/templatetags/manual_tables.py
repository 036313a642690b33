"""The tables of the documentation for its templates, each made from the code that it tells of."""

from typing import Final

from django import template
from django.conf import settings
from django.utils.translation import gettext

from openrembg.server.billing import money
from openrembg.server.manual import error_table, fields, setting_table, usage_table
from openrembg.server.quota.rates import UNLIMITED

register = template.Library()

TABLES: Final = {
    "fields_of_rmbg": fields.fields,
    "sizes_of_a_photo": fields.sizes,
    "turns_of_a_photo": fields.turns,
    "colors_of_css": fields.colors,
    "errors_of_the_api": error_table.errors,
    "faults_of_fields": error_table.faults,
    "faults_of_usage": error_table.usage_faults,
    "groups_of_settings": setting_table.groups,
    "parameters_of_usage": usage_table.parameters,
    "fields_of_usage": usage_table.answer,
    "fields_of_a_cycle": usage_table.cycle,
}

for name, table in TABLES.items():
    register.simple_tag(table, name=name)


@register.filter
def limit(units: int) -> str:
    """Return a limit as people read it."""
    if units == UNLIMITED:
        return gettext("no limit")
    return money.number(units)


@register.simple_tag
def chosen(name: str) -> object:
    """Return what the operator chose for a field of Settings."""
    return getattr(settings.OPENREMBG, name)
