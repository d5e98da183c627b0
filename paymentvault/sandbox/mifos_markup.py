"""The HTML around the page: its frame, its style and its small parts."""

from collections.abc import Mapping, Sequence
from html import escape

PLACEHOLDERS = (":N", ":CODE", ":SECONDS")
COLUMNS = ("Loan", "Client", "Phone", "Sum, KES", "Status", "Receipt", "")

# Braces are doubled because the page is filled in with str.format.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: light-dark(#d5d8dc, #40454c);
  --soft: light-dark(#f3f5f7, #1f2328); --ink: light-dark(#14181c, #eceff2);
  --act: light-dark(#0b5cad, #7db9f5); --paper: light-dark(#fff, #14171a); }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1rem; max-width: 64rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; margin: 0; }}
h2 {{ font-size: 1.125rem; margin: 1.5rem 0 .5rem; }}
form h2 {{ grid-column: 1 / -1; margin: 0; }}
form[action="/new"] {{ display: grid; gap: .75rem; padding: 1rem; background: var(--soft);
  border: 1px solid var(--line); grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); }}
label {{ display: grid; gap: .25rem; align-content: start; }}
input, select, button {{ font: inherit; padding: .5rem; width: 100%; color: inherit;
  background: var(--paper); border: 1px solid var(--line); border-radius: .25rem; }}
button {{ color: var(--act); border-color: var(--act); cursor: pointer; align-self: end; }}
.said {{ padding: .5rem 1rem; border-left: .25rem solid var(--act); background: var(--soft); }}
iframe {{ width: 100%; height: 60vh; border: 1px solid var(--line); }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .5rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
td form {{ margin-bottom: .25rem; }}
@media (max-width: 40rem) {{
  thead {{ display: none; }}
  tr, td {{ display: block; }}
  tr {{ border-bottom: 2px solid var(--line); padding: .5rem 0; }}
  td {{ border: 0; padding: .125rem 0; }}
  td[data-name]::before {{ content: attr(data-name) ": "; font-weight: 600; }}
}}
</style>
</head>
<body>{body}</body>
</html>
"""


def option(value: str, label: str) -> str:
    return f'<option value="{escape(value)}">{escape(label)}</option>'


def offered(
    faults: Mapping[str, str], examples: Mapping[str, tuple[str, str]]
) -> list[tuple[str, str]]:
    """(fault, sentence) pairs; a fault that needs a value comes as its example, if any."""
    pairs = [examples.get(name, (name, sentence)) for name, sentence in faults.items()]
    return [pair for pair in pairs if pair[0] != "normal" and not pair[0].endswith(PLACEHOLDERS)]


def options(faults: Mapping[str, str], examples: Mapping[str, tuple[str, str]]) -> str:
    return "".join(option(fault, sentence) for fault, sentence in offered(faults, examples))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    if not rows:
        return "<p>No loans yet.</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    body = "".join(f"<tr>{''.join(map(_cell, COLUMNS, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(column: str, content: str) -> str:
    name = f' data-name="{column}"' if column else ""
    return f"<td{name}>{content}</td>"
