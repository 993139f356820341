"""The table of a survival run: `survival.parquet`, one row per patient and part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.endpoint import COMPETING, TIME
from covidlit.errors import PredictionsError
from covidlit.tables import read_table, validate, write_table

SURVIVAL = "survival"
FILE = f"{SURVIVAL}.parquet"

COEFFICIENTS = "coefficients.csv"
"""In the folder of a run or of a fold, where the model has such."""

RUN = ("run_id", "model", "seed", "fold")
_KNOWN = ("centre", "class_name", "age", "sex", "synthetic")


def survival_table(
    rows: pd.DataFrame, risks: Mapping[str, pd.DataFrame], *, unit: str, **run: object
) -> pd.DataFrame:
    """The table of a run.

    Args:
        rows: of the data, with `part`, `status`, `reason`, `target`, and `time_days`.
        risks: of each part, what the runner's `predict` gave.
        unit: what a row of the data is.
        run: `run_id`, `model`, `seed` and `fold`.

    Returns:
        One row per row of these parts: `event` and `time_days`, `risk_score` (higher: earlier),
        `risk_group` (by the training patients' quantiles, 0: lowest), `risk_<days>_days`
        (probability of the event until then); refused rows keep theirs, with null risks.
    """
    key = f"{unit}_id"
    kept = ["part", "patient_id", *_KNOWN, "status", "reason", "target", TIME, COMPETING]
    own = rows[rows["part"].isin(list(risks))]
    table = own[[name for name in kept if name in own]].rename(columns={"target": "event"})
    table["row_id"] = own[key].astype("string")
    scored = pd.concat(list(risks.values()), ignore_index=True).rename(columns={key: "row_id"})
    joined = table.merge(
        scored.astype({"row_id": "string"}), on="row_id", how="left", validate="1:1"
    )
    return joined.assign(**run)[[*RUN, *joined.columns]]


def horizons_in(table: pd.DataFrame) -> dict[float, str]:
    """Days at which risks were predicted, and their columns."""
    found = {}
    for name in map(str, table.columns):
        if name.startswith("risk_") and name.endswith("_days"):
            found[float(name.removeprefix("risk_").removesuffix("_days"))] = name
    return dict(sorted(found.items()))


def write_survival(table: pd.DataFrame, folder: Path) -> Path:
    """Write `survival.parquet`, held against its schema.

    Raises:
        PredictionsError: the table breaks it.
    """
    return write_table(_validated(table, SURVIVAL), folder / FILE)


def read_survival(path: Path) -> pd.DataFrame:
    """The table in a folder, or of a path.

    Raises:
        PredictionsError: it is missing or breaks its schema.
    """
    path = path / FILE if path.is_dir() else path
    return _validated(read_table(path, PredictionsError), path)


def coefficients_in(run_dir: Path) -> pd.DataFrame | None:
    """The coefficients of a run's model, or of those of its folds; None where it has none."""
    if (run_dir / COEFFICIENTS).is_file():
        return read_table(run_dir / COEFFICIENTS, PredictionsError)
    folds = sorted(run_dir.glob(f"fold_*/{COEFFICIENTS}"))
    if not folds:
        return None
    found = [
        read_table(path, PredictionsError).assign(fold=path.parent.name.removeprefix("fold_"))
        for path in folds
    ]
    return pd.concat([each for each in found if len(each)] or found[:1], ignore_index=True)


def _validated(table: pd.DataFrame, where: object) -> pd.DataFrame:
    share = pa.Check.in_range(0, 1)
    risk = pa.Column(float, share, nullable=True, coerce=True, required=False, regex=True)
    schema = pa.DataFrameSchema(
        {
            "run_id": pa.Column(str, coerce=True),
            "model": pa.Column(str, coerce=True),
            "seed": pa.Column("Int64", coerce=True),
            "fold": pa.Column("Int64", nullable=True, coerce=True),
            "part": pa.Column(str, pa.Check.isin(["train", "validation", "test"]), coerce=True),
            "patient_id": pa.Column(str, coerce=True),
            "row_id": pa.Column(str, coerce=True),
            "event": pa.Column("Int64", pa.Check.isin([0, 1]), nullable=True, coerce=True),
            TIME: pa.Column(float, nullable=True, coerce=True),
            COMPETING: pa.Column("boolean", nullable=True, coerce=True, required=False),
            "risk_score": pa.Column(float, nullable=True, coerce=True),
            "risk_group": pa.Column("Int64", pa.Check.ge(0), nullable=True, coerce=True),
            r"^risk_.+_days$": risk,
        },
        unique=["run_id", "fold", "part", "row_id"],
    )
    return validate(table, schema, where, PredictionsError)
