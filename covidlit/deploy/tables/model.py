"""A trained model of tables: the fusion network of a checkpoint, or a kept classical one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import validated_record
from covidlit.errors import CheckpointError

if TYPE_CHECKING:
    from covidlit.baselines.model import ClassicalModel
    from covidlit.checkpoints.record import RunRecord
    from covidlit.tasks.fusion import Fusion

KINDS = ("clinical", "factors")
"""Of the input record: data whose rows are numbers of a table."""

_CLEAREST = 1e-3
"""Log odds of a classical model's score end here: a forest that is sure says 0 or 1."""


class TableModel(Protocol):
    """What scores rows of numbers.

    Attributes:
        record: of the run that it was trained in.
        features: names of the numbers that change its score.
        name: of the model, for people.
    """

    @property
    def record(self) -> RunRecord: ...

    @property
    def features(self) -> Sequence[str]: ...

    @property
    def name(self) -> str: ...

    def scores(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """(n,) probabilities of the positive class of n rows; columns by name, NaN: missing."""

    def member_scores(self, values: pd.DataFrame) -> NDArray[np.float64] | None:
        """(members, n) what each member of an ensemble says; None where there is none."""

    def log_odds(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """(n,) log odds of the scores."""

    def attention(self, values: pd.DataFrame) -> pd.DataFrame | None:
        """(n, features) attention weights, by feature; None where the model has none."""


class FusionModel:
    """The fusion network of a checkpoint.

    Args:
        task: the trained network.
        record: of its run.
    """

    def __init__(self, task: Fusion, record: RunRecord) -> None:
        self._task, self._record = task, record

    @property
    def record(self) -> RunRecord:
        """Of the run that it was trained in."""
        return self._record

    @property
    def features(self) -> Sequence[str]:
        """The chosen ones."""
        return [str(name) for name in self._task.hparams["preparation"]["names"]]

    @property
    def name(self) -> str:
        """The model and the size of its ensemble."""
        return f"{self._record.model or 'fusion_ann'}, {self._task.n_scoring} networks"

    def scores(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """See `TableModel`."""
        return self._array(self._task.scores(self._logits(values)))

    def member_scores(self, values: pd.DataFrame) -> NDArray[np.float64] | None:
        """See `TableModel`; calibrated alike."""
        return self._array(self._task.member_scores(self._logits(values)))

    def log_odds(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """See `TableModel`."""
        factor, offset = self._task.calibration.double()
        members = self._logits(values)[: self._task.n_scoring].double()
        return self._array(members.mean(0) * factor + offset)

    def attention(self, values: pd.DataFrame) -> pd.DataFrame | None:
        """The weights of each feature and of its indicator together, members' mean."""
        import torch

        net: Any = self._task.net
        if net.attend is None:
            return None
        with torch.inference_mode():
            weights = self._array(net.attention(self._numbers(values), self._task.n_scoring))
        names = self.features
        found = weights[:, : len(names)].copy()
        for place, feature in enumerate(net.prepare.indicated.tolist()):
            found[:, feature] += weights[:, len(names) + place]
        return pd.DataFrame(found, columns=list(names), index=values.index)

    def _logits(self, values: pd.DataFrame) -> Any:
        import torch

        with torch.inference_mode():
            return self._task(self._numbers(values))

    def _numbers(self, values: pd.DataFrame) -> Any:
        import torch

        ordered = values.reindex(columns=self._task.columns).to_numpy(dtype=np.float32)
        return torch.from_numpy(ordered.copy())

    @staticmethod
    def _array(found: Any) -> NDArray[np.float64]:
        array: NDArray[np.float64] = found.detach().double().numpy()
        return array


class ClassicalTableModel:
    """A classical model that was kept with skops."""

    def __init__(self, model: ClassicalModel) -> None:
        self._model = model

    @property
    def record(self) -> RunRecord:
        """Of the run that it was trained in."""
        return self._model.record

    @property
    def features(self) -> Sequence[str]:
        """All that it was given in training."""
        return self._model.features

    @property
    def name(self) -> str:
        """Who computes the scores."""
        return self._model.name

    def scores(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """See `TableModel`."""
        table = values.reindex(columns=list(self._model.features))
        return np.asarray(self._model.scores_of(table), dtype=np.float64)

    def member_scores(self, values: pd.DataFrame) -> NDArray[np.float64] | None:
        """None."""
        return None

    def log_odds(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """See `TableModel`; of scores between 0.001 and 0.999."""
        scores = self.scores(values).clip(_CLEAREST, 1 - _CLEAREST)
        found: NDArray[np.float64] = np.log(scores) - np.log1p(-scores)
        return found

    def attention(self, values: pd.DataFrame) -> pd.DataFrame | None:
        """None."""
        return None


def is_table_model(path: str | Path) -> bool:
    """Whether a checkpoint or a run's folder seems to be of a model of tables.

    Looks into the archive alone, without unpickling anything or loading a network.
    """
    try:
        path = model_of_run(path) if Path(path).is_dir() else Path(path)
        with ZipFile(path) as archive:
            for name in archive.namelist():
                if name == "schema.json" or name.endswith("data.pkl"):
                    return _speaks_of_tables(archive.read(name), name)
    except (CheckpointError, OSError, BadZipFile, NotImplementedError, RuntimeError):
        return False  # whoever loads it says what is wrong
    return False


def _speaks_of_tables(content: bytes, name: str) -> bool:
    if name.endswith("data.pkl"):
        return b"SeverityPrediction" in content
    bare = content.replace(b"\\", b"").replace(b" ", b"")
    return any(b'"kind":"%s"' % kind.encode() in bare for kind in KINDS)


def load_table_model(path: str | Path) -> TableModel:
    """Load a model of tables.

    Args:
        path: a checkpoint, a `model.skops`, or the folder of a run.

    Raises:
        CheckpointError: missing, damaged, untrusted, of another input than tables, or of more than
            two classes.
    """
    path = model_of_run(path) if Path(path).is_dir() else Path(path)
    found: TableModel
    if path.suffix == ".skops":
        from covidlit.baselines.model import load_model

        found = ClassicalTableModel(load_model(path))
    else:
        from covidlit.tasks.load import load_fusion

        task = load_fusion(path)
        found = FusionModel(task, validated_record(task.record, path))
    if found.record.preprocess.kind not in KINDS:
        raise CheckpointError(
            f"the model takes input of the kind {found.record.preprocess.kind!r}, not tables.",
            where=path,
            fix="give a model of data=clinical or data=factors.",
        )
    if len(found.record.classes) > 2:
        raise CheckpointError(
            f"the model tells {len(found.record.classes)} classes apart: scores of tables are of "
            "two.",
            where=path,
            fix="train with a label rule of two classes.",
        )
    return found
