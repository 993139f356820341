"""The thresholds that a run has learnt, from its folder, as a table for its report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.folds import fold_and_repeat, fold_name, number_of_folder
from covidlit.tables import read_table

FILE = "thresholds.csv"
_NEEDED = {"factor", "unit", "decides", "beyond", "threshold", "low", "high", "youden"}


def learnt_thresholds(folder: str | Path) -> pd.DataFrame | None:
    """One row per factor and fold: its threshold with unit and interval, and whether it decides.

    Args:
        folder: of a run, which has `thresholds.csv`, or of a cross-validation, whose folds have.

    Returns:
        Text for people; None where the run has learnt no thresholds.
    """
    folder = Path(folder)
    own = _read(folder / FILE)
    if own is not None:
        return _shown(own)
    folds = sorted(
        folder.glob(f"fold_*/{FILE}"), key=lambda path: number_of_folder(path.parent.name)
    )
    tables = [(path.parent.name, _read(path)) for path in folds]
    shown = []
    for name, table in tables:
        if table is not None:
            rows = _shown(table[table["decides"].astype(bool)])
            rows.insert(0, "fold", _title(name))
            shown.append(rows)
    return pd.concat(shown, ignore_index=True) if shown else None


def _read(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    table = read_table(path, PredictionsError)
    return table if set(table) >= _NEEDED else None


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for row in table.to_dict("records"):
        unit = "" if pd.isna(row["unit"]) or row["unit"] == "1" else f" {row['unit']}"
        known = not pd.isna(row["threshold"])
        rows.append(
            {
                "factor": row["factor"],
                "decides": "yes" if row["decides"] else "no",
                "beyond": f"{row['beyond']} {row['threshold']:.4g}{unit}" if known else None,
                _level(table): _interval(row["low"], row["high"], unit),
                "J in training": f"{row['youden']:.2f}" if known else None,
                "sensitivity": f"{row['sensitivity']:.0%}" if known else None,
                "specificity": f"{row['specificity']:.0%}" if known else None,
            }
        )
    return pd.DataFrame(rows)


def _level(table: pd.DataFrame) -> str:
    known = table["confidence"].dropna() if "confidence" in table else pd.Series(dtype=float)
    return f"{format_level(float(known.iloc[0]))} interval" if len(known) else "interval"


def _interval(low: float, high: float, unit: str) -> str | None:
    return None if pd.isna(low) or pd.isna(high) else f"{low:.4g} to {high:.4g}{unit}"


def _title(folder: str) -> int | str:
    number = number_of_folder(folder)
    fold, repeat = fold_and_repeat(max(0, number))
    return fold if repeat is None else fold_name(number)
