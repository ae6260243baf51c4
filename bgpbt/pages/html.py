"""Parts of a page: one file without links to others."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

LONG = 40  # characters; more may be broken into lines


def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (files("bgpbt.pages") / "assets" / name).read_text(encoding="utf-8")


def page(title: str, body: str, data: Any, scripts: Sequence[str]) -> str:
    """A whole page.

    Args:
      title: of the window.
      body: HTML.
      data: in JSON's words; scripts find it in the element `data`.
      scripts: names of assets, in their order.
    """
    # In HTML, only `<` can end the element that holds the numbers.
    numbers = json.dumps(data, separators=(",", ":"), allow_nan=False)
    numbers = numbers.replace("<", "\\u003c")
    code = "\n".join(asset(name) for name in scripts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{asset("page.css")}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{numbers}</script>
<script>
{code}</script>
</body>
</html>
"""


def section(heading: str, words: str, content: str) -> str:
    """A part of a page with a sentence that says what is seen."""
    sentence = f'<p class="soft">{escape(words)}</p>' if words else ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{sentence}\n{content}\n</section>"


def place(name: str, *, grid: bool = False) -> str:
    """Where a script draws."""
    return f'<div id="{name}"{" class=grid" if grid else ""}></div>'


def table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> str:
    """Rows of words and numbers; numbers stand to the right."""
    lines = []
    if head:
        cells = "".join(f"<th>{escape(word)}</th>" for word in head)
        lines.append(f"<tr>{cells}</tr>")
    lines += [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'<td class="number">{value}</td>'
    words = str(value)
    kind = ' class="words"' if len(words) > LONG else ""
    return f"<td{kind}>{escape(words)}</td>"


def folded(summary: str, content: str) -> str:
    """Something that is seen once it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"
