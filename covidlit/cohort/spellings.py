"""Groups that one table writes in several ways: a centre in another case is another centre."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Collection, Iterable

import pandas as pd

from covidlit.counted import counted
from covidlit.errors import ManifestError, SplitError
from covidlit.tables import rows_text

GROUPS = ("centre", "class_name", "aetiology", "severity", "quality_grade")
"""Columns whose values put rows into groups: splits, classes and subgroups go by them."""

_MOST_GROUPS = 200
"""A column with more values than this holds no groups, but texts."""


def spelling(name: str) -> str:
    """A name without what people write in one way or another.

    Case, blanks, hyphens, underscores and points, and zeros before a number: `Centre 01` is
    `centre_1`.
    """
    letters = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_.\-\u2010-\u2015]+", "", letters))


def other_spellings(names: Iterable[str]) -> dict[str, str]:
    """The names that are another one, written otherwise, and that one: the more frequent.

    Args:
        names: of the rows.
    """
    counts = pd.Series(list(names), dtype=object).value_counts(sort=False)
    ways: dict[str, list[str]] = {}
    for name in sorted(counts.index, key=lambda name: (-counts[name], name)):
        ways.setdefault(spelling(name), []).append(name)
    return {name: same[0] for same in ways.values() for name in same[1:]}


def spelt_otherwise(
    table: pd.DataFrame, columns: Collection[str], own_names: Collection[str] = ()
) -> list[tuple[str, str, str]]:
    """Column, value and the value that it is probably meant as, for each such one of a table.

    Args:
        table: labels or a manifest.
        columns: which are looked at, as far as the table has them as text.
        own_names: values that are meant as they are.
    """
    found = []
    for column in columns:
        if column not in table or table[column].dtype.kind in "biufcmM":
            continue
        texts = table[column].dropna().map(lambda value: str(value).strip())
        if texts.nunique() > _MOST_GROUPS:
            continue
        pairs = other_spellings(texts)
        found += [(column, name, same) for name, same in pairs.items() if name not in own_names]
    return found


def refuse_other_spellings(
    table: pd.DataFrame, columns: Collection[str], own_names: Collection[str], where: str
) -> None:
    """Refuse groups that are written in several ways, which would silently be several groups.

    Raises:
        ManifestError: names column, value, rows, and how other rows write it.
    """
    found = spelt_otherwise(table, columns, own_names)
    if not found:
        return
    listed = "; ".join(
        f"column {column!r}: {name!r} in {_rows(table, column, name)}, others write {same!r}"
        for column, name, same in found
    )
    own = " ".join(f"--own-name {shlex.quote(name)}" for _, name, _ in found)
    raise ManifestError(
        f"{counted(len(found), 'group')} written in several ways would count as several: {listed}.",
        where=where,
        fix=f"write them alike, or say that they are others: {own} (own_names).",
    )


def require_one_spelling(table: pd.DataFrame, is_test: pd.Series) -> None:
    """Refuse a held-out centre that other rows write otherwise: it would be trained on.

    Raises:
        SplitError: names the rows and both spellings.
    """
    ways = {spelling(name): name for name in table.loc[is_test, "centre"]}
    for name in sorted(table.loc[~is_test, "centre"].unique()):
        if (held := ways.get(spelling(name))) is not None:
            rows = table[table["centre"] == name]
            raise SplitError(
                f"the centre {held!r} is held out, and rows {rows_text(rows)} write {name!r}, "
                "which would be trained on.",
                where="manifest, column 'centre'",
                fix="write the centre in one way; if these are two, give one a clearer name.",
            )


def spelling_warnings(table: pd.DataFrame, columns: Collection[str], where: str) -> list[str]:
    """A sentence for each group of a manifest that is written in several ways; none is refused."""
    return [
        f"{where}: column {column!r}: {name!r} in {_rows(table, column, name)} counts as another "
        f"group than {same!r}: write them alike if they are one."
        for column, name, same in spelt_otherwise(table, columns)
    ]


def _rows(table: pd.DataFrame, column: str, value: str) -> str:
    rows = table[table[column].map(lambda cell: str(cell).strip()) == value]
    return f"{counted(len(rows), 'row')} ({rows_text(rows, in_brackets=True)})"
