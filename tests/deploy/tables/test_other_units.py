"""Numbers in another unit than their column's name says are refused and not scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.checkpoints.record import RunRecord, run_record
from covidlit.datamodules.tables.training_values import spread_of
from covidlit.deploy.tables.limits import refuse_impossible
from covidlit.deploy.tables.read_rows import read_rows
from covidlit.errors import ManifestError

RNG = np.random.default_rng(0)
TRAINING = spread_of(
    pd.DataFrame(
        {
            "neutrophil_percent": RNG.uniform(30, 96, 300),
            "lymphocyte_percent": RNG.uniform(2, 50, 300),
            "lymphocyte_percent_worst": RNG.uniform(2, 50, 300),
            "monocyte_percent": RNG.uniform(1.5, 15, 300),
            "eosinophil_percent": RNG.uniform(0, 6, 300),
            "alt_u_per_l": RNG.uniform(6, 200, 300),
            "albumin_g_per_l": RNG.uniform(20, 50, 300),
        }
    )
)


def check(columns: dict[str, list[float]], **given: Any) -> None:
    table = pd.DataFrame(columns, dtype="float64")
    texts = [f"row {number + 1}" for number in range(len(table))]
    refuse_impossible(texts, table, "new.csv", TRAINING, **given)


@pytest.mark.parametrize(
    ("name", "values", "unit"),
    [
        ("lymphocyte_percent", [0.22, 0.31, 0.18, 0.25], "fraction"),
        ("lymphocyte_percent_worst", [0.22, 0.31, 0.18, 0.25], "fraction"),
        ("monocyte_percent", [0.07, 0.06, 0.05, 0.08], "fraction"),
        ("alt_u_per_l", [0.5, 0.4, 0.7, 0.3], "ukat/L"),
        ("lymphocyte_percent", [0.22, 21.0, 0.18, 25.0], "2 of 4 values look like fractions"),
    ],
)
def test_a_column_in_another_unit_is_refused_with_the_unit(
    name: str, values: list[float], unit: str
) -> None:
    with pytest.raises(ManifestError) as refused:
        check({name: values})
    assert f"column '{name}'" in str(refused.value)
    assert unit in str(refused.value)
    assert "--mapping" in str(refused.value.fix)
    check({name: values}, units_said=True)  # what a mapping has said is not guessed again


@pytest.mark.parametrize(
    ("name", "value"),
    [("lymphocyte_percent", 0.22), ("lymphocyte_percent_worst", 0.4), ("monocyte_percent", 0.07)],
)
def test_a_lone_fraction_is_refused_with_its_row_and_what_it_would_be(
    name: str, value: float
) -> None:
    with pytest.raises(ManifestError, match=rf"row 1, column '{name}': value {value} looks like"):
        check({name: [value], "alt_u_per_l": [30.0]})
    with pytest.raises(ManifestError, match=f"{100 * value:g} percent of leukocytes"):
        check({name: [value, np.nan, np.nan, np.nan]})


@pytest.mark.parametrize(
    "row",
    [
        {"lymphocyte_percent": [0.7], "neutrophil_percent": [97.0]},  # 70 beside it would be 167
        {"lymphocyte_percent": [2.0]},  # in the range of the training
        {"monocyte_percent": [0.9]},  # as a fraction it would be 90 percent of monocytes
        {"lymphocyte_percent": [0.0]},
        {"eosinophil_percent": [0.01, 0.0, 0.02, 0.0]},  # what a severe infection does
        {"lymphocyte_percent": [0.7, 0.8, 0.9, 0.6], "neutrophil_percent": [97, 96, 95, 98]},
        {"albumin_g_per_l": [30.0, 31.0, 35.0], "alt_u_per_l": [900.0, 800.0, 1200.0]},
    ],
    ids=str,
)
def test_very_ill_patients_are_scored(row: dict[str, list[float]]) -> None:
    check(row)


@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("n", [1, 4])
def test_a_table_of_fractions_is_refused_as_it_is_read(tmp_path: Path, dated: bool, n: int) -> None:
    names = ["lymphocyte_percent", "alt_u_per_l"]
    record = RunRecord.model_validate(
        run_record(
            {"model": {"name": "any"}, "trainer": {}},
            "0" * 64,
            {"kind": "clinical", "columns": names, "training": TRAINING, "index": "auto",
             "rule": "first", "before_days": None, "after_days": 1.0},
        )
    )  # fmt: skip
    table = pd.DataFrame(
        {"patient_id": list("abcd"), "lymphocyte_percent": [22.0, 31, 18, 25], "alt_u_per_l": 30.0}
    ).head(n)
    table = table.assign(date="2021-03-04") if dated else table
    table.to_csv(tmp_path / "percent.csv", index=False)
    read = read_rows(tmp_path / "percent.csv", record, names)
    assert read.values["lymphocyte_percent"].tolist() == [22.0, 31, 18, 25][:n]
    table.assign(lymphocyte_percent=table["lymphocyte_percent"] / 100).to_csv(
        tmp_path / "fractions.csv", index=False
    )
    with pytest.raises(ManifestError, match=r"lymphocyte_percent.*(fraction|shares of 1)"):
        read_rows(tmp_path / "fractions.csv", record, names)
