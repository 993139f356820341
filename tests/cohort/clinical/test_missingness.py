"""Missing values by group, and tests of them against SciPy's and a planted dependence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from covidlit.cohort.clinical import missing_values


def cohort(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "target": rng.integers(0, 2, n),
            "centre": rng.choice(["north", "south"], n),
            "told": rng.normal(size=n),
            "chance": rng.normal(size=n),
            "whole": rng.normal(size=n),
            "never": np.nan,
            "elsewhere": rng.normal(size=n),
        }
    )
    rows.loc[(rows["target"] == 1) & (rng.random(n) < 0.6), "told"] = np.nan
    rows.loc[rng.random(n) < 0.3, "chance"] = np.nan
    rows.loc[rows["centre"] == "south", "elsewhere"] = np.nan
    return rows


FEATURES = ["told", "chance", "whole", "never", "elsewhere"]


def test_counts_and_tests() -> None:
    rows = cohort()
    found = missing_values(rows, FEATURES)
    counts = found.table.set_index(["by", "group", "feature"])
    south = rows[rows["centre"] == "south"]
    assert counts.loc[("centre", "south", "elsewhere"), "percent"] == 100
    assert counts.loc[("centre", "south", "chance"), "missing"] == south["chance"].isna().sum()
    assert counts.loc[("all", "all", "never"), ["n", "missing"]].tolist() == [200, 200]
    tests = found.tests[found.tests["of"] == "target"].set_index("feature")
    assert set(tests.index) == {"told", "chance", "elsewhere"}  # the others vary in nothing
    cells = pd.crosstab(rows["target"], rows["told"].isna())
    expected = fisher_exact([[cells.loc[1, True], cells.loc[1, False]],
                             [cells.loc[0, True], cells.loc[0, False]]])  # fmt: skip
    assert tests.loc["told", "p"] == pytest.approx(expected.pvalue)
    assert tests.loc["told", "statistic"] == pytest.approx(expected.statistic)
    assert (tests["p_holm"] >= tests["p"]).all()
    smallest = tests["p"].idxmin()
    assert tests.loc[smallest, "p_holm"] == pytest.approx(min(1, 3 * tests.loc[smallest, "p"]))


def test_warnings_name_what_tells_the_outcome_and_what_a_centre_lacks() -> None:
    texts = missing_values(cohort(), FEATURES).warnings
    assert any("tells the outcome for told " in text for text in texts)
    assert any("elsewhere is missing throughout in 100% of centre south" in text for text in texts)
    assert not any("chance" in text or "whole" in text for text in texts)


def test_several_centres_by_permutation_and_no_outcome_at_all() -> None:
    rows = cohort().assign(centre=np.resize(["a", "b", "c"], 200), target=pd.NA)
    rows.loc[rows["centre"] == "c", "whole"] = np.nan
    found = missing_values(rows, FEATURES)
    assert set(found.tests["of"]) == {"centre"}
    tests = found.tests.set_index("feature")
    assert tests.loc["whole", "p"] == pytest.approx(1 / 2001)
    assert tests.loc["chance", "p"] > 0.01
