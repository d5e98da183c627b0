"""`{% load figures %}`: lengths of time and counts, as home shows them."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from paymentvault.templatetags.portal import DASH, for_how_long

register = template.Library()


@register.filter
def lasting(moment: datetime) -> SafeString:
    """ "31 min", of something that has lasted since then, with its beginning on hover."""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="Since {}">{}</time>',
        local.isoformat(), f"{local:%a %-d %b %Y %H:%M:%S} Nairobi", for_how_long(moment),
    )  # fmt: skip


@register.filter
def length_of_time(length: timedelta | None) -> str:
    """14 s; of something that is over."""
    return for_how_long(timezone.now() - length) if length is not None else DASH


@register.filter
def grouped(number: int) -> str:
    """12345 as "12,345"."""
    return f"{number:,}"
