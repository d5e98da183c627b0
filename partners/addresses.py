"""One way to write the address of a Mifos X, so that the same one is known again."""

import re
from urllib.parse import urlsplit, urlunsplit

DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def server(url: str) -> str:
    """Without capitals in the host, a default port, or slashes at the end."""
    parts = urlsplit(url.strip())
    netloc = parts.netloc.lower().removesuffix(":")
    netloc = netloc.removesuffix(DEFAULT_PORTS.get(parts.scheme, ":"))
    netloc = re.sub(r"\.(?=:\d+$|$)", "", netloc)  # the root of all domains
    return urlunsplit(parts._replace(netloc=netloc, path=path(parts.path)))


def path(path: str) -> str:
    """With a slash at its start, none at its end, and one between."""
    return "".join(f"/{part}" for part in path.strip().split("/") if part)
