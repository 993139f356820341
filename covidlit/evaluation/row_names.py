"""What rows are called: texts are written of scans, and a row may be a patient."""

from __future__ import annotations

import re

SCAN = "scan"
_WORD = re.compile(r"\b([Ss])can(s?)\b")
_APART = re.compile(r"(<(style|script|pre|code)\b.*?</\2>|<[^>]*>)", re.DOTALL)
"""Of a page what is no sentence: tags, and what stands as it is."""


def in_unit(text: str, unit: str) -> str:
    """A sentence on scans as one on rows of another unit: "3 scans" becomes "3 patients".

    Args:
        text: for people; no command or setting has the bare word.
        unit: what a row is, such as "patient".
    """
    if unit == SCAN:
        return text

    def named(match: re.Match[str]) -> str:
        word = unit.capitalize() if match[1] == "S" else unit
        return word + match[2]

    return _WORD.sub(named, text)


def page_in_unit(html: str, unit: str) -> str:
    """The same of the sentences of a page; tags, styles, scripts and code stay."""
    if unit == SCAN:
        return html
    found, last = [], 0
    for match in _APART.finditer(html):
        found += [in_unit(html[last : match.start()], unit), match[0]]
        last = match.end()
    return "".join([*found, in_unit(html[last:], unit)])
