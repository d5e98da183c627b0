"""What every page's frame shows."""

from django.conf import settings
from django.http import HttpRequest

THEMES = ("light", "dark")


def frame(request: HttpRequest) -> dict[str, object]:
    theme = request.COOKIES.get("theme", "")
    return {
        "theme": theme if theme in THEMES else "",
        "again_minutes": settings.ASK_AGAIN_AFTER_S // 60,
    }
