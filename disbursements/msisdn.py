"""One form for a phone number: 12 digits, 2547… or 2541…"""

import re

SEPARATORS = re.compile(r"[ \u00a0.()\-]")
KENYAN_MOBILE = re.compile(r"(?:\+?254|00254|0)?([17][0-9]{8})", re.ASCII)


def normalise(text: str | None) -> str:
    """The number as M-Pesa wants it, or "" if it isn't exactly one Kenyan mobile number.

    Which operator a prefix belongs to is not judged here: numbers are portable, M-Pesa knows.
    """
    found = KENYAN_MOBILE.fullmatch(SEPARATORS.sub("", (text or "").strip()))
    return f"254{found[1]}" if found else ""
