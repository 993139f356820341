"""Markdown as text: escaped words, lists and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
_START = re.compile(r"^(?:([-+=])(?=[-+= ]|$)|(\d+)(?=[.)](?: |$)))")


def escape(text: object) -> str:
    """Text of one line in which nothing is Markdown or HTML.

    Source: CommonMark 0.31, section 2.4: any ASCII punctuation may stand behind a backslash.
    """
    line = " ".join(str(text).split())
    line = _SPECIAL.sub(r"\\\1", line)
    # At the start of a line, a mark or a number with a point would begin a list.
    return _START.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\", line)


def bullets(lines: Iterable[object]) -> str:
    """A list, one escaped line each."""
    return "".join(f"- {escape(line)}\n" for line in lines)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table with a row of headings, every cell escaped; None as a dash."""
    text = [" | ".join(escape(cell) for cell in head), " | ".join(["---"] * len(head))]
    text += [" | ".join("–" if cell is None else escape(cell) for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in text)
