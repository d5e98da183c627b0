"""What every page's frame shows."""

from django.http import HttpRequest

THEMES = ("light", "dark")


def frame(request: HttpRequest) -> dict[str, object]:
    theme = request.COOKIES.get("theme", "")
    return {"theme": theme if theme in THEMES else ""}
