"""Which row of a table a message is about."""

from __future__ import annotations

import pandas as pd


def row_numbers(table: pd.DataFrame) -> list[int]:
    """The row numbers that messages use: from 1, without the header, of the table as it was read.

    A selection of rows keeps the numbers of the table that it was taken from.
    """
    if pd.api.types.is_integer_dtype(table.index):
        return [int(label) + 1 for label in table.index]
    return list(range(1, len(table) + 1))
