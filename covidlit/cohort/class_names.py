"""The names of the classes: written in one way, and looked for where a label rule names them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from covidlit.errors import ManifestError

if TYPE_CHECKING:
    import pandas as pd

KNOWN_CLASSES = ("covid", "cap", "np")
"""The classes of the field, which a cohort may lack; any other class is a user's own."""


def class_of_interest(classes: Sequence[str]) -> str:
    """The class whose probability is the `score`: "covid" where there is one, else the last."""
    return "covid" if "covid" in classes else classes[-1]


def in_target_order(classes: Sequence[str]) -> tuple[str, ...]:
    """The named classes in the order of the targets 0, 1, ...

    More than two as they are given. Of two the class of interest is 1, since a binary task has one
    score: the probability of target 1.
    """
    if len(classes) != 2:
        return tuple(classes)
    return tuple(sorted(classes, key=lambda name: name == class_of_interest(classes)))


def tidy_class_names(names: pd.Series) -> pd.Series:
    """Names without spaces around them, the known ones in lower case; empty ones are missing."""
    tidy = names.str.strip()
    lower = tidy.str.lower()
    return tidy.where(~lower.isin(KNOWN_CLASSES), lower).where(tidy != "")


def count_classes(names: pd.Series) -> str:
    """The classes and how many rows each has, for messages: "cap (3), covid (12)"."""
    counts = names.value_counts().sort_index()
    return ", ".join(f"{name} ({n})" for name, n in counts.items()) or "none"


def require_classes(named: Sequence[str], names: pd.Series, where: str) -> None:
    """Refuse a class that a label rule names and no row has, since its rows would get lost.

    A hospital may have no case of a known class; such a one is refused only where a class that the
    rule does not name is spelt much like it.

    Args:
        named: the classes of the rule.
        names: `class_name` of each row.
        where: the argument, for the message.

    Raises:
        ManifestError: names the class, a similar one if there is one, and the classes there are.
    """
    present = [str(name) for name in names.dropna().unique()]
    others = {name.lower(): name for name in present if name not in named}
    for name in named if present else ():
        near = get_close_matches(name.lower(), others, n=1)
        if name in present or (name in KNOWN_CLASSES and not near):
            continue
        hint = f"did you mean {others[near[0]]!r}? " if near else ""
        raise ManifestError(
            f"no row has the class {name!r}, which the label rule names.",
            where=where,
            fix=f"{hint}The column class_name holds: {count_classes(names)}.",
        )


def class_column(table: pd.DataFrame) -> pd.Series:
    """The column `class_name`, by which rules of classes of scans go.

    Raises:
        ManifestError: there is none, as in tables of patients.
    """
    if "class_name" not in table:
        raise ManifestError(
            "there is no column 'class_name', and none 'target'."
            if "target" not in table
            else "there is no column 'class_name', by which the rule goes.",
            where="label_rule",
            fix="of patients use label_rule=died, severe, progressed, or by_column with a column "
            "of the table; label_rule=manifest goes by a column 'target'.",
        )
    return table["class_name"]
