"""The models of all folds of a cross-validation as one: the mean of their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.checkpoints.record import OtherInput, RunRecord
from covidlit.cohort.split import Split
from covidlit.deploy.tables.model import TableModel, load_table_model
from covidlit.errors import CheckpointError

_CLEAREST = 1e-3
"""Log odds of the mean score end here, as those of a classical model."""


class AllFolds:
    """A `TableModel` of the models of all folds.

    The cross-validation has tested each of them alone, on rows that it had not seen; of their mean
    nothing was measured. It has no operating point: each fold chose its own, for its own scores.

    Args:
        models: of the folds, in their order.
        parts: of each fold, what part each patient (or scan) was in.
    """

    def __init__(self, models: Sequence[TableModel], parts: Sequence[Mapping[str, str]]) -> None:
        self._models, self._parts = list(models), list(parts)
        first = models[0].record
        found = [model.record.preprocess.model_dump() for model in models]
        settings = {**found[0], "training": _spreads(each.get("training") or {} for each in found)}
        self._record = first.model_copy(
            update={
                "operating_point": None,
                "preprocess": OtherInput(**settings),
                "synthetic": any(model.record.synthetic for model in models),
            }
        )
        self._features = list(dict.fromkeys(name for model in models for name in model.features))

    @property
    def record(self) -> RunRecord:
        """That of the first fold, without an operating point, and with the values of all."""
        return self._record

    @property
    def features(self) -> Sequence[str]:
        """Those of any fold's model."""
        return self._features

    @property
    def name(self) -> str:
        """The models and how many they are."""
        return f"{len(self._models)} folds of {self._models[0].name}"

    @property
    def seen(self) -> dict[str, str]:
        """What is to be said of each patient (or scan) of the cross-validation, by name."""
        n = len(self._models)
        found = {}
        for name in dict.fromkeys(name for each in self._parts for name in each):
            own = [each.get(name) for each in self._parts]
            learnt = sum(part in ("train", "validation") for part in own)
            if learnt:
                found[name] = (
                    f"{learnt} of the {n} folds' models have learnt from it or were chosen on it: "
                    "the score says nothing of new patients; its honest one is in the run's "
                    "predictions.parquet"
                )
        return found

    def scores(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """See `TableModel`."""
        found: NDArray[np.float64] = np.mean([m.scores(values) for m in self._models], axis=0)
        return found

    def member_scores(self, values: pd.DataFrame) -> NDArray[np.float64] | None:
        """See `TableModel`: those of every fold's members, and of a model without any its own."""
        found = []
        for model in self._models:
            own = model.member_scores(values)
            found.append(model.scores(values)[None] if own is None else own)
        return np.concatenate(found)

    def log_odds(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """See `TableModel`; of mean scores between 0.001 and 0.999."""
        scores = self.scores(values).clip(_CLEAREST, 1 - _CLEAREST)
        found: NDArray[np.float64] = np.log(scores) - np.log1p(-scores)
        return found

    def attention(self, values: pd.DataFrame) -> pd.DataFrame | None:
        """The folds' mean weights, 0 where a fold's model does not take a feature."""
        found = [model.attention(values) for model in self._models]
        known = [each.reindex(columns=self._features).fillna(0.0) for each in found
                 if each is not None]  # fmt: skip
        if len(known) < len(found):
            return None
        mean = np.mean([each.to_numpy() for each in known], axis=0)
        return pd.DataFrame(mean, columns=self._features, index=values.index)


def load_all_folds(folder: str | Path) -> AllFolds:
    """The models of all folds of a cross-validation.

    Args:
        folder: of the run.

    Raises:
        CheckpointError: it is none, a fold has no model, or see `load_table_model`.
    """
    folder = Path(folder)
    folds = sorted(folder.glob("fold_*"), key=lambda path: (len(path.name), path.name))
    folds = [path for path in folds if path.is_dir()]
    if len(folds) < 2:
        raise CheckpointError(
            "this is not the folder of a cross-validation.",
            where=folder,
            fix="leave --all-folds out, or give the folder of a run of split.fold=all.",
        )
    models = [load_table_model(fold) for fold in folds]
    kinds = {model.record.preprocess.kind for model in models}
    if len(kinds) > 1:
        raise CheckpointError(
            f"its folds are of different data: {' and '.join(sorted(kinds))}.", where=folder
        )
    parts = [_parts_of(fold, model) for fold, model in zip(folds, models, strict=True)]
    return AllFolds(models, parts)


def _parts_of(fold: Path, model: TableModel) -> dict[str, str]:
    split = Split.load(fold / "split.json")
    if split.hash != model.record.split_hash:
        raise CheckpointError(
            "the model was trained on another split than the one that lies beside it.",
            where=fold,
            fix="train the cross-validation again in one folder.",
        )
    return dict(split.parts)


def _spreads(folds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The training values of all folds: the widest range, and the means of what lies within."""
    own = list(folds)
    found = {}
    for name in dict.fromkeys(name for each in own for name in each):
        known = [each[name] for each in own if name in each and each[name]["quantiles"]]
        if not known:
            found[name] = next(each[name] for each in own if name in each)
            continue
        quantiles = np.array([each["quantiles"] for each in known])
        mean = quantiles.mean(axis=0)
        mean[0], mean[-1] = quantiles[:, 0].min(), quantiles[:, -1].max()
        largest = max(known, key=lambda each: each["n"])
        found[name] = {**largest, "quantiles": mean.tolist()}
    return found
