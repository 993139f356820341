"""What is said of every row that a model takes, whatever the model gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.split import Split
from covidlit.datamodules.tables.training_values import outside_text
from covidlit.deploy.tables.limits import hint_of
from covidlit.deploy.tables.read_rows import Rows
from covidlit.errors import CovidlitError

_LEVELS = 3


def row_facts(rows: Rows, record: RunRecord, scored: NDArray[np.bool_]) -> pd.DataFrame:
    """`n_missing`, `missing`, `n_outside`, `outside`, `status` and `reason` of each row.

    Args:
        rows: as the model took them.
        record: of the model, which tells the range of its training rows.
        scored: (n,) which have a finite score; the others are refused.
    """
    known, index = rows.values.notna(), rows.values.index
    outside = _outside(rows.values, record.preprocess.model_dump().get("training") or {})
    return pd.DataFrame(
        {
            "n_missing": (~known).sum(axis=1),
            "missing": _listed(~known),
            "n_outside": [len(texts) for texts in outside],
            "outside": pd.Series(["; ".join(texts) for texts in outside], index, dtype="string"),
            "status": pd.Series(np.where(scored, "ok", "refused"), index, dtype="string"),
            "reason": pd.Series(
                _reasons(known.any(axis=1).to_numpy(), scored), index, dtype="string"
            ),
        }
    )


def seen_rows(
    record: RunRecord, checkpoint: str | Path | None, said: Mapping[str, str]
) -> dict[str, str]:
    """What is to be said of rows that were in a part of the model's run, by their names.

    Args:
        record: of the model.
        checkpoint: the folder of its run, or a path in it; None, or without the split: nobody is
            known.
        said: of a part, by its name.
    """
    parts = _parts(record.split_hash, checkpoint)
    return {name: said[part] for name, part in parts.items() if part in said}


def notes_of_rows(
    rows: Rows, record: RunRecord, seen: Mapping[str, str], always: Sequence[str] = ()
) -> pd.Series:
    """Notes on each row, null where there is none.

    Args:
        rows: as the model took them.
        record: of the model.
        seen: what is said of a row, by its name; see `seen_rows`.
        always: said of all rows.
    """
    notes = [list(always) for _ in range(len(rows.names))]
    key = "scan_id" if record.preprocess.kind == "factors" else "patient_id"
    if seen and key in rows.names:
        for own, name in zip(notes, rows.names[key].astype(str), strict=True):
            if name in seen:
                own.append(seen[name])
    texts = ["; ".join(own) or None for own in notes]
    return pd.Series(texts, rows.names.index, dtype="string")


def _listed(which: pd.DataFrame) -> pd.Series:
    names = np.asarray(which.columns, dtype=object)
    texts = ["; ".join(names[row]) for row in which.to_numpy()]
    return pd.Series(texts, which.index, dtype="string").replace("", pd.NA)


def _outside(values: pd.DataFrame, training: Mapping[str, Any]) -> list[list[str]]:
    """For each row the sentences on numbers outside the training rows' range."""
    found: list[list[str]] = [[] for _ in range(len(values))]
    for name in map(str, values.columns):
        if name not in training or not training[name]["quantiles"]:
            continue
        for place, value in enumerate(values[name]):
            if text := outside_text(name, float(value), training[name]):
                found[place].append(text + hint_of(name, float(value)))
    return found


def _reasons(usable: Any, finite: Any) -> list[str | None]:
    return [
        None if scored
        else "the model gave no finite score" if known
        else "none of the features that the model takes is known"
        for known, scored in zip(usable, finite, strict=True)
    ]  # fmt: skip


def _parts(split_hash: str, checkpoint: str | Path | None) -> Mapping[str, str]:
    """The parts of the model's run by name, where the checkpoint lies in its folder."""
    if checkpoint is None:
        return {}
    path = Path(checkpoint).absolute()
    for folder in (path, *path.parents[:_LEVELS]):
        if (folder / "split.json").is_file():
            try:
                split = Split.load(folder / "split.json")
            except CovidlitError:
                return {}
            return dict(split.parts) if split.hash == split_hash else {}
    return {}
