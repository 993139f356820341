"""The fusion network of a checkpoint, as a model of tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.checkpoints.arrays import load_arrays
from covidlit.checkpoints.checks import described
from covidlit.checkpoints.record import RunRecord, validated_record
from covidlit.errors import CheckpointError
from covidlit.models.fusion_ann.ensemble import FusionEnsemble
from covidlit.settings.targets import SEVERITIES

if TYPE_CHECKING:
    from covidlit.tasks.fusion import Fusion

_IN_NUMPY = ("covidlit.models.FusionANN", "covidlit.models.fusion_ann.network.FusionANN")

Floats = NDArray[np.float64]


class Ensemble(Protocol):
    """Networks that score raw numbers; see `FusionEnsemble`."""

    columns: list[str]
    names: Sequence[str]
    n_scoring: int
    calibration: tuple[float, float]

    def logits(self, numbers: NDArray[np.floating]) -> Floats: ...

    def attention(self, numbers: NDArray[np.floating]) -> Floats | None: ...


class FusionModel:
    """An ensemble with the record of its run; see `covidlit.deploy.tables.model.TableModel`.

    Args:
        ensemble: that scores.
        record: of its run.
    """

    def __init__(self, ensemble: Ensemble, record: RunRecord) -> None:
        self._ensemble, self._record = ensemble, record

    @property
    def record(self) -> RunRecord:
        """Of the run that it was trained in."""
        return self._record

    @property
    def features(self) -> Sequence[str]:
        """The chosen ones."""
        return list(self._ensemble.names)

    @property
    def name(self) -> str:
        """The model and the size of its ensemble."""
        return f"{self._record.model or 'fusion_ann'}, {self._ensemble.n_scoring} networks"

    def scores(self, values: pd.DataFrame) -> Floats:
        """See `TableModel`."""
        return _sigmoid(self.log_odds(values))

    def member_scores(self, values: pd.DataFrame) -> Floats | None:
        """See `TableModel`; calibrated alike."""
        factor, offset = self._ensemble.calibration
        return _sigmoid(self._ensemble.logits(self._numbers(values)) * factor + offset)

    def log_odds(self, values: pd.DataFrame) -> Floats:
        """See `TableModel`."""
        factor, offset = self._ensemble.calibration
        found: Floats = self._ensemble.logits(self._numbers(values)).mean(0) * factor + offset
        return found

    def attention(self, values: pd.DataFrame) -> pd.DataFrame | None:
        """The weights of each feature and of its indicator together, members' mean."""
        found = self._ensemble.attention(self._numbers(values))
        if found is None:
            return None
        return pd.DataFrame(found, columns=list(self._ensemble.names), index=values.index)

    def _numbers(self, values: pd.DataFrame) -> NDArray[np.float32]:
        return values.reindex(columns=self._ensemble.columns).to_numpy(dtype=np.float32)


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 0.5 + 0.5 * np.tanh(0.5 * x)
    return found


def load_fusion_model(path: Path) -> FusionModel:
    """The severity prediction of a checkpoint.

    Raises:
        CheckpointError: see `covidlit.checkpoints.load_checkpoint`; it is another task's; or its
            weights do not fit its hyper-parameters.
    """
    content = load_arrays(path)
    task, hparams = content["covidlit"]["task"], content["hyper_parameters"]
    if task not in SEVERITIES:
        raise CheckpointError(
            f"the checkpoint is of a {task.rpartition('.')[2]}, which takes no table of numbers.",
            where=path,
            fix="give one of `python train.py model=fusion_ann data=clinical`.",
        )
    record = validated_record(content["covidlit"]["record"], path)
    with described(path):
        if hparams["net"]["_target_"] in _IN_NUMPY:
            return FusionModel(FusionEnsemble(hparams, content["state_dict"]), record)
    from covidlit.tasks.load import load_fusion

    return FusionModel(_OfTorch(load_fusion(path)), record)


class _OfTorch:
    """A network of another class, which torch has to compute."""

    def __init__(self, task: Fusion) -> None:
        self._task = task
        self.columns = task.columns
        self.names: Sequence[str] = [str(name) for name in task.hparams["preparation"]["names"]]
        self.n_scoring = task.n_scoring
        factor, offset = (float(value) for value in task.calibration)
        self.calibration = (factor, offset)

    def logits(self, numbers: NDArray[np.floating]) -> Floats:
        import torch

        with torch.inference_mode():
            found = self._task(torch.from_numpy(np.asarray(numbers, dtype=np.float32)))
        return np.asarray(found[: self.n_scoring].double().numpy())

    def attention(self, numbers: NDArray[np.floating]) -> Floats | None:
        return None
