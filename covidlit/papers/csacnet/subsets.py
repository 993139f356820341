"""The paper's subsets of a part: S1 the COVID-19 cases, S2 no pneumonia, S3 other pneumonia."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.evaluation.subgroups import MISSING


@dataclass(frozen=True)
class Subsets:
    """The classes of the subsets, as they stand in the column `class_name`.

    S1 is always the positive scans (target 1), whatever rule made the target; `s1` says which class
    they should have, so that others among them are named.

    Attributes:
        s1: the class of the cases.
        s2: the negative class without pneumonia.
        s3: the negative class of other pneumonia.
    """

    s1: str = "covid"
    s2: str = "np"
    s3: str = "cap"

    def masks(self, table: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
        """Which rows are in S1, S2, S3 and "negative" (all negative scans), each of shape (n,).

        Args:
            table: rows with `target` 0 or 1 and `class_name`.
        """
        positive = table["target"].to_numpy(bool)
        name = table["class_name"].astype("string").fillna("")
        return {
            "S1": positive,
            "S2": ~positive & (name == self.s2).to_numpy(bool),
            "S3": ~positive & (name == self.s3).to_numpy(bool),
            "negative": ~positive,
        }

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """Sentences about the scans that do not fit the subsets."""
        masks = self.masks(table)
        name = table["class_name"].astype("string").fillna(MISSING)
        found = []
        odd = name[masks["S1"] & (name != self.s1).to_numpy(bool)]
        if len(odd):
            found.append(
                f"{len(odd)} of the {masks['S1'].sum()} positive scans are not of the class "
                f"{self.s1!r} ({_counted(odd)}); they are in S1 all the same."
            )
        others = name[masks["negative"] & ~masks["S2"] & ~masks["S3"]]
        if len(others):
            found.append(
                f"{counted(len(others), 'negative scan')} neither of the class {self.s2!r} (S2) "
                f"nor of {self.s3!r} (S3), counted among all negative scans only: "
                f"{_counted(others)}."
            )
        return found


def initial_result(table: pd.DataFrame) -> pd.Series:
    """The first RT-PCR result of each row: "positive", "negative" or, where unknown, missing."""
    if "rtpcr_initial" not in table.columns:
        return pd.Series(pd.NA, index=table.index, dtype="string")
    result = table["rtpcr_initial"].astype("string").str.strip().str.lower()
    return result.where(result.isin(["positive", "negative"]))


def _counted(names: pd.Series) -> str:
    return ", ".join(f"{name} ({n})" for name, n in names.value_counts().sort_index().items())
