"""A trained model of tables: the fusion network of a checkpoint, or a kept classical one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.checkpoints.kept_survival import is_survival_file
from covidlit.checkpoints.of_run import model_of_run
from covidlit.deploy.tables.fusion import load_fusion_model
from covidlit.deploy.tables.kind import KINDS
from covidlit.errors import CheckpointError

if TYPE_CHECKING:
    from covidlit.baselines.model import ClassicalModel
    from covidlit.checkpoints.record import RunRecord

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
        """Those that it was given in training and, with a selection, has selected."""
        return self._model.used_features

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


def load_table_model(path: str | Path) -> TableModel:
    """Load a model of tables.

    Args:
        path: a checkpoint, a `model.skops`, or the folder of a run.

    Raises:
        CheckpointError: missing, damaged, untrusted, of another input than tables, or of more than
            two classes.
    """
    path = model_of_run(path) if Path(path).is_dir() else Path(path)
    if is_survival_file(path):
        raise CheckpointError(
            "the model is of times to an event, whose risks are no scores of classes.",
            where=path,
            fix="give the folder of one fold, such as RUN/fold_0, to `covidlit predict`; "
            "--all-folds and --severity are for models of classes.",
        )
    found: TableModel
    if path.suffix == ".skops":
        from covidlit.baselines.model import load_model

        found = ClassicalTableModel(load_model(path))
    else:
        found = load_fusion_model(path)
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
