"""What is said of many scans, said once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from covidlit.counted import without_counts
from covidlit.dicom.wording import name_some
from covidlit.scans.images import image_stem

_IN_BRACKETS = re.compile(r"\([^()]*\)")


class Said(NamedTuple):
    """A sentence about a scan.

    Args:
        scan_id: of the scan; empty where it has none.
        path: where it lies.
        text: what is said.
    """

    scan_id: str
    path: str
    text: str


def alike(rows: Iterable[Said], *, by_path: bool, table: str = "scans.csv") -> list[str]:
    """A line for sentences that differ by their scan, by numbers and by what stands in brackets.

    Args:
        rows: of the scans.
        by_path: name scans by their paths, else by their ids.
        table: that has the sentence of each.

    Returns:
        "name: text", or "3 scans (a, b and c): text of the first", in the order of the first ones.
    """
    groups: dict[str, list[Said]] = {}
    cores: dict[str, str] = {}
    for row in rows:
        groups.setdefault(cores.setdefault(row.text, _core(row)), []).append(row)
    return [_line(own, by_path=by_path, table=table) for own in groups.values()]


def _core(row: Said) -> str:
    """The sentence without what is its scan's own."""
    text = row.text
    names = {row.path, PurePosixPath(row.path).name, image_stem(row.path), row.scan_id} - {""}
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "*", text)
    return " ".join(without_counts(_IN_BRACKETS.sub("", text)).split())


def _line(rows: list[Said], *, by_path: bool, table: str) -> str:
    names = list(dict.fromkeys(row.path if by_path else row.scan_id for row in rows))
    if len(rows) == 1:
        return f"{names[0]}: {rows[0].text}"
    same = len({row.text for row in rows}) == 1
    more = "" if same else f" (so of the first; of each in {table})"
    return f"{len(rows)} scans ({name_some(names)}): {rows[0].text}{more}"
