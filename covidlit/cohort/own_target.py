"""The column `target` that a table brings itself."""

from __future__ import annotations

import pandas as pd

from covidlit.counted import counted
from covidlit.errors import ManifestError
from covidlit.tables import row_texts


def has_targets(table: pd.DataFrame) -> bool:
    """Whether a row has a target of its own."""
    return "target" in table and bool(table["target"].notna().any())


def own_targets(table: pd.DataFrame) -> pd.Series:
    """The targets of a table: Int64, null where there is none.

    Raises:
        ManifestError: one is no number of a class.
    """
    column = table["target"]
    numbers = pd.to_numeric(column, errors="coerce").astype("Float64")
    wrong = column.notna() & (numbers.isna() | numbers.mod(1).ne(0).fillna(True))
    if wrong.any():
        place = int(wrong.to_numpy(dtype=bool).argmax())
        raise ManifestError(
            f"row {row_texts(table)[place]}, column 'target': {column.iloc[place]!r} is no number "
            f"of a class ({counted(int(wrong.sum()), 'such row')}).",
            where="column target",
            fix="write 0 and 1, or name what its values mean: label_rule=by_column "
            "label_rule.column=... 'label_rule.positive=[...]'.",
        )
    return numbers.astype("Int64")
