"""`{% load guide %}`: links from anywhere into the operator's guide."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from paymentvault.portal import situations

register = template.Library()


@register.simple_tag
def help_for(kind: str) -> str:
    """The address of the page about a hold, a kind of case, or a state."""
    return situations.help_for(kind)


@register.simple_tag
def helped(kind: str, words: str = "What to do") -> SafeString | str:
    """A link to that page, its text made unique by the page's title; nothing where none is."""
    page = situations.page_for(kind)
    if page is None:
        return ""
    return format_html(
        '<a class="helped" href="{}">{}<span class="unseen">: {}</span></a>',
        page.url, words, page.title,
    )  # fmt: skip
