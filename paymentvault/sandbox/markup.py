"""The HTML of both pretend worlds' pages: its frame, its style and its small parts."""

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode

from paymentvault.sandbox.server import Answer, Request

PLACEHOLDERS = (":N", ":CODE", ":SECONDS")
# What is offered of a fault that needs a value.
EXAMPLES = {
    "hook_times:N": ("hook_times:2", "The hook is sent twice."),
    "late_hook:SECONDS": ("late_hook:20", "The hook comes 20 seconds late."),
    "slow:SECONDS": ("slow:10", "It takes 10 seconds before anything is answered."),
    "refused:CODE": ("refused:400.002.02", "Refused at once, nothing was taken."),
    "late_callback:SECONDS": ("late_callback:30", "Paid; the callback comes 30 seconds later."),
    "result:CODE": ("result:2040", "Accepted; then M-Pesa declines it, and nothing moves."),
}

# Braces are doubled because the page is filled in with str.format.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}
<link rel="icon" href="data:,">
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
form.card {{ display: grid; gap: .75rem; padding: 1rem; background: var(--soft);
  border: 1px solid var(--line); grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); }}
label {{ display: grid; gap: .25rem; align-content: start; }}
input, select, button {{ font: inherit; padding: .5rem; width: 100%; color: inherit;
  background: var(--paper); border: 1px solid var(--line); border-radius: .25rem; }}
button {{ color: var(--act); border-color: var(--act); cursor: pointer; align-self: end; }}
form {{ margin: .75rem 0; }}
form.inline {{ display: inline-block; margin: .5rem .5rem 1.5rem 0; }}
form.card p {{ grid-column: 1 / -1; margin: 0; }}
caption {{ text-align: left; font-weight: 600; padding: .5rem; }}
th[scope=row] {{ width: 16rem; }}
td code {{ font-size: 1rem; overflow-wrap: anywhere; user-select: all; }}
pre {{ overflow-x: auto; padding: 1rem; background: var(--soft); user-select: all; }}
.said {{ padding: .5rem 1rem; border-left: .25rem solid var(--act); background: var(--soft); }}
iframe {{ width: 100%; height: 60vh; border: 1px solid var(--line); }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .5rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
td form {{ margin: 0 0 .25rem; }}
@media (max-width: 40rem) {{
  thead {{ display: none; }}
  tr, td, th[scope=row] {{ display: block; width: auto; border: 0; }}
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


def offered(faults: Mapping[str, str]) -> list[tuple[str, str]]:
    """(fault, sentence) pairs; a fault that needs a value comes as its example, if any."""
    pairs = [EXAMPLES.get(name, (name, sentence)) for name, sentence in faults.items()]
    return [pair for pair in pairs if pair[0] != "normal" and not pair[0].endswith(PLACEHOLDERS)]


def options(faults: Mapping[str, str]) -> str:
    return "".join(option(fault, sentence) for fault, sentence in offered(faults))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> str:
    """Cells are HTML already."""
    if not rows:
        return f"<p>{empty}</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, columns, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(column: str, content: str) -> str:
    name = f' data-name="{column}"' if column else ""
    return f"<td{name}>{content}</td>"


def values(title: str, rows: Mapping[str, str]) -> str:
    """What to copy elsewhere: one click selects a value whole."""
    items = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(value)}</code></td></tr>'
        for name, value in rows.items()
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{items}</tbody></table>"


def page(title: str, body: str, *, head: str = "") -> str:
    return PAGE.format(title=escape(title), head=head, body=body)


def told(request: Request) -> str:
    """The sentence about what was just pressed."""
    said = request.query.get("said", "")
    return f'<p role="status" class="said">{escape(said)}</p>' if said else ""


def back(sentence: str) -> Answer:
    """To the page, with a sentence about what happened."""
    return Answer(303, None, {"Location": f"/?{urlencode({'said': sentence})}"})


def address_of(request: Request) -> str:
    """Where the browser found us."""
    return f"http://{request.headers.get('host', '')}"
