"""A body as it arrived, made readable: indented where it is JSON, and masked."""

import json
import re

from paymentvault.logging import LONGEST, mask

# A string, a bracket, or whatever else stands between them.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def readable(body: str) -> str:
    """The body indented, with every number and text exactly as it was written.

    It was masked when it was kept; what was overlooked then is masked here.
    """
    text = _indented(body) if _is_json(body) else body
    return mask(text) + ("" if len(text) <= LONGEST else "\n… and more, which is not shown here.")


def _is_json(body: str) -> bool:
    try:
        json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _indented(body: str) -> str:
    """By its brackets: parsed and written again, 10000.00 would become 10000.0."""
    lines: list[str] = []
    line, depth = "", 0
    for piece in _PIECE.findall(body):
        if piece in "}]":
            if line.strip():
                lines.append(line)
            depth -= 1
            line = "  " * depth + piece
        elif piece in "{[":
            lines.append(line + piece)
            depth += 1
            line = "  " * depth
        elif piece == ",":
            lines.append(line + piece)
            line = "  " * depth
        else:
            line += ": " if piece == ":" else piece
    return "\n".join([*lines, line]).strip("\n")
