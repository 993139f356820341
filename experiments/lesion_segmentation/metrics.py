"""The library's statistics of the trainings, from their tables, kept beside them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import studies
from trainings import FINISHED, POOLED, RUNS, SHARED

from covidlit.evaluation.segmentation import evaluate_segmentation, split_rows
from covidlit.files import write_json


def trainings(name: str) -> list[str]:
    """The trainings behind a name: one, or those of all folds."""
    return POOLED.get(name, [name])


def is_there(name: str) -> bool:
    """Whether all trainings of a name are finished."""
    return all((FINISHED / each / "run.json").is_file() for each in trainings(name))


def metrics_of(name: str) -> dict[str, Any]:
    """`evaluate_segmentation` of a training, or of the folds together; done once."""
    path = FINISHED / name / "metrics.json"
    if not path.is_file():
        tables: dict[str, list[pd.DataFrame]] = {}
        for fold, each in enumerate(trainings(name)):
            data = studies.data_of(each, SHARED)
            data.setup()
            found = pd.read_parquet(RUNS / each / "tables.parquet")
            rows = data.table[data.table["part"] != "train"]
            run = {"run_id": name, "model": name.split("_")[-1], "seed": 0}
            own = split_rows(found, rows, **run, fold=fold if name in POOLED else None)
            for kind, table in own.items():
                tables.setdefault(kind, []).append(table)
        together = {kind: pd.concat(each, ignore_index=True) for kind, each in tables.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, evaluate_segmentation(together, n_bootstrap=1000).metrics)
    return dict(json.loads(path.read_text()))


def counts_of(name: str, part: str = "test") -> pd.DataFrame:
    """Pixels of each slice of a part, of all folds together; see `measure.slices_of`."""
    tables = [pd.read_csv(FINISHED / each / "slices.csv") for each in trainings(name)]
    table = pd.concat(tables, ignore_index=True)
    return table[table["part"] == part].reset_index(drop=True)
