"""Names in labels or a manifest that are none of covidlit's, but spelt much like one of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable
from difflib import get_close_matches

import pandas as pd

from covidlit.cohort.class_names import KNOWN_CLASSES
from covidlit.cohort.spellings import GROUPS, spelling_warnings
from covidlit.counted import counted
from covidlit.errors import ManifestError
from covidlit.tables import rows_text

UIDS = ("study_uid", "series_uid")
"""No names that another may be meant as: a column `study_id` may well hold no UID."""

_CLOSE = 0.8


def column_meant(name: str, known: Iterable[str], cutoff: float = _CLOSE) -> str | None:
    """The known column that a column's name is probably meant as, or None.

    Args:
        name: as it stands in the table: `rtpcr_inital`, `PatientID`.
        known: names to choose from.
        cutoff: least share of letters in common, as `difflib` counts them.
    """
    known = list(known)
    for candidate in known:
        if _letters(name) == _letters(candidate):
            return candidate
    near = get_close_matches(name.lower(), known, n=1, cutoff=cutoff)
    return near[0] if near else None


def class_meant(name: str) -> str | None:
    """The known class that a class name is probably meant as, or None.

    The same letters in another order, a letter too many or too few, and digits or signs at the end
    (`nnp`, `cpa`, `covd`, `COVID-19`). Another letter in place of one counts in `covid` only:
    `hap`, `vap` and `cop` are pneumonias of their own.
    """
    letters = re.sub("[^a-z]", "", name.lower())
    for known in KNOWN_CLASSES:
        if sorted(letters) == sorted(known):
            return known
    others = [known for known in KNOWN_CLASSES if len(known) > 3 or len(known) != len(letters)]
    near = get_close_matches(letters, others, n=1, cutoff=_CLOSE)
    return near[0] if near else None


def misspelt_columns(
    columns: Iterable[str], known: Collection[str], own_names: Collection[str] = ()
) -> dict[str, str]:
    """The columns that are probably meant as known ones which the table lacks, and those.

    Args:
        columns: of the table.
        known: the columns that covidlit uses.
        own_names: columns that are meant as they are.
    """
    columns = list(columns)
    lacking = [name for name in known if name not in columns]
    return {
        name: meant
        for name in columns
        if name not in known
        and name not in own_names
        and (meant := column_meant(name, lacking)) is not None
    }


def misspelt_classes(table: pd.DataFrame, own_names: Collection[str] = ()) -> dict[str, str]:
    """The classes in `class_name` that are probably meant as known ones, and those.

    Args:
        table: `class_name` is looked at if it has one.
        own_names: classes that are meant as they are.
    """
    if "class_name" not in table:
        return {}
    return {
        name: meant
        for name in table["class_name"].dropna().unique()
        if name not in KNOWN_CLASSES
        and name not in own_names
        and (meant := class_meant(name)) is not None
    }


def misspelling_warnings(table: pd.DataFrame, known: Collection[str], where: str) -> list[str]:
    """A sentence for each column and class of a table that is probably a misspelt known one.

    For tables whose own names stand: nothing is refused.

    Args:
        table: a manifest; `class_name` is looked at if it has one.
        known: the columns that covidlit uses.
        where: the table, for the sentences.
    """
    # A column that is wholly empty is none: contract 2 adds one that a manifest lacks.
    filled = [str(name) for name in table.columns if table[name].notna().any()]
    columns = misspelt_columns(filled, known)
    return [
        *(
            f"{where}: column {name!r} ({int(table[name].notna().sum())} rows filled) is not used "
            f"as {meant}: did you mean {meant}? If so, rename it; else it stays your own column."
            for name, meant in columns.items()
        ),
        *(
            f"{where}: class {name!r} in {_rows_with(table, 'class_name', name)}: did you mean "
            f"{meant}? If so, correct the rows; else it stays a class of its own."
            for name, meant in misspelt_classes(table).items()
        ),
        *spelling_warnings(table, GROUPS, where),
    ]


def refuse_misspelt_columns(
    columns: Iterable[str], known: Collection[str], own_names: Collection[str], where: str
) -> None:
    """Refuse columns that would not be used, though they are probably meant as known ones.

    Args:
        columns: of the table.
        known: the columns that covidlit uses.
        own_names: columns that are meant as they are.
        where: the table, for the message.

    Raises:
        ManifestError: names each such column and the known one.
    """
    pairs = misspelt_columns(columns, known, own_names)
    if not pairs:
        return
    listed = "; ".join(f"{name!r}: did you mean {meant}?" for name, meant in pairs.items())
    raise ManifestError(
        f"{counted(len(pairs), 'column')} that would not be used, spelt much like one that the "
        f"table lacks: {listed}",
        where=where,
        fix=f"rename what is misspelt, or say that it is your own: {_as_options(pairs)}.",
    )


def require_class_column(columns: Iterable[str], where: str) -> None:
    """Refuse labels without the column `class_name`, for a label rule that goes by it.

    Raises:
        ManifestError: names the column that may be meant as it, if there is one.
    """
    columns = list(columns)
    if "class_name" in columns:
        return
    near = [name for name in columns if column_meant(name, ["class_name"], cutoff=0.6)]
    hint = f"did you mean it by {near[0]!r}? Rename that column. If not, " if near else ""
    raise ManifestError(
        f"column 'class_name' is missing, and the label rule needs it (the table has: "
        f"{', '.join(columns)}).",
        where=where,
        fix=f"{hint}add it ({', '.join(KNOWN_CLASSES)} or classes of your own), or make no target: "
        "--label-rule none (label_rule).",
    )


def refuse_misspelt_classes(table: pd.DataFrame, own_names: Collection[str], where: str) -> None:
    """Refuse classes that would pass as a user's own, though they are probably meant as known ones.

    Args:
        table: labels; `class_name` is looked at if it has one.
        own_names: classes that are meant as they are.
        where: the table, for the message.

    Raises:
        ManifestError: names each such class, its rows and the known class.
    """
    pairs = misspelt_classes(table, own_names)
    if not pairs:
        return
    listed = "; ".join(
        f"{name!r} in {_rows_with(table, 'class_name', name)}: did you mean {meant}?"
        for name, meant in pairs.items()
    )
    raise ManifestError(
        f"column 'class_name' holds {counted(len(pairs), 'class', 'classes')} spelt much like a "
        f"known one: {listed}",
        where=where,
        fix=f"correct the rows, or say that these are classes of your own: {_as_options(pairs)}.",
    )


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _rows_with(table: pd.DataFrame, column: str, value: str) -> str:
    rows = table[table[column] == value]
    return f"{counted(len(rows), 'row')} ({rows_text(rows, in_brackets=True)})"


def _as_options(names: Iterable[str]) -> str:
    return " ".join(f"--own-name {shlex.quote(name)}" for name in names) + " (own_names)"
