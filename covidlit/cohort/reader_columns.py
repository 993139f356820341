"""Readers' columns, `reader_NAME`, of labels, manifests and predictions: what their values say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

PREFIX, SECONDS = "reader_", "_seconds"
"""`reader_NAME` holds a reader's calls or grades, `reader_NAME_seconds` the time per scan."""

_CALLS = {"positive": 1.0, "negative": 0.0, "true": 1.0, "false": 0.0}


def reader_values(column: pd.Series) -> NDArray[np.float64]:
    """A reader's column as numbers, shape (n,): the words for yes and no as 1 and 0.

    NaN where nothing stands, and where something stands that is neither a finite number nor one of
    positive, negative, true and false (in any case of letters).
    """
    if is_numeric_dtype(column) or is_bool_dtype(column):
        numbers = column.astype("Float64").to_numpy(np.float64, na_value=np.nan)
    else:
        words = column.astype("string").str.strip().str.lower()
        known = words.map(_CALLS).astype("Float64")
        numbers = known.fillna(pd.to_numeric(words, errors="coerce").astype("Float64")).to_numpy(
            np.float64, na_value=np.nan
        )
    return np.where(np.isfinite(numbers), numbers, np.nan)


def is_reading(column: pd.Series) -> bool:
    """Whether a column is a reader's: by its name, and with numbers or calls in every filled row.

    A column with other text (`reader_comment`) is none, for it may identify a patient.
    """
    if not str(column.name).startswith(PREFIX):
        return False
    filled = column.dropna()
    return is_numeric_dtype(column) or bool(np.isfinite(reader_values(filled)).all())
