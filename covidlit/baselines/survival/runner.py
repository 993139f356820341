"""The half of a runner (contract 5) that all models of times to an event share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.baselines.fitted_at_once import require_no_checkpoint
from covidlit.baselines.survival.kept import SurvivalModel
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.endpoint import TIME
from covidlit.datamodules.cohort_data import Planned
from covidlit.errors import ConfigError, SplitError, TrainingError
from covidlit.settings.words import Node

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData

Floats = NDArray[np.float64]


class SurvivalRunner(ABC):
    """Fits a model of times to an event to the named features of a cohort's rows.

    Args:
        name: of the model, as it stands in the tables.
        kind: of the model, for people.
        features: groups of features, features by name and presets; None: all that the data have.
        horizons: days at which risks are given; None: quartiles of the times of all events.
        risk_groups: by quantiles of the training patients' risk.
        ckpt_path: must be None: it is fitted at once.
        record: what the kept model says about the run; `covidlit.checkpoints.record.RunRecord`.

    Attributes:
        model: after `fit`, the fitted model.

    Raises:
        ConfigError: a setting out of its range.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        features: Sequence[str] | str | None,
        horizons: Sequence[float] | float | None,
        risk_groups: int,
        ckpt_path: str | None,
        record: Node | None,
    ) -> None:
        require_no_checkpoint(name, ckpt_path)
        if isinstance(risk_groups, bool) or risk_groups not in range(2, 6):
            raise ConfigError(
                f"must be a whole number from 2 to 5, not {risk_groups!r}.",
                where="model.risk_groups", fix="use 3.",
            )  # fmt: skip
        self.name, self.record, self._kind = name, dict(record or {}), kind
        self._groups = [features] if isinstance(features, str) else features
        self._n_groups, self._horizons = int(risk_groups), _checked_horizons(horizons)
        self.model: SurvivalModel | None = None
        self._path: Path | None = None

    @property
    def outcome(self) -> str:
        """Survival."""
        return "survival"

    @property
    def selected_on(self) -> str | None:
        """None: nothing is chosen."""
        return None

    @property
    def cut_short(self) -> str:
        """Empty: the Trainer's debugging settings do not reach this model."""
        return ""

    def check(self, data: CohortData) -> None:
        """Make sure that the data have times and the features, and somebody the event.

        Raises:
            ConfigError: they have not.
            SplitError: the training part is empty.
        """
        if TIME not in data.manifest:
            raise ConfigError(
                f"the rows have no times: {self._kind} learns when an event comes.",
                where="label_rule",
                fix="use label_rule=endpoint.",
            )
        data.feature_table(self._groups)
        rows = data.manifest[data.manifest["status"].eq("ok")]
        if not rows["target"].eq(1).any():
            raise ConfigError(
                f"none of {len(rows)} patients has the event, so that no hazard can be estimated.",
                where="label_rule",
                fix="check label_rule.column and label_rule.positive, or take a longer horizon.",
            )
        if Planned(data).rows_of("train").empty:
            raise SplitError("no row of the training part can be used.", where="split")

    def settle(self, config: dict[str, Any], data: CohortData) -> dict[str, Any]:
        """Nothing depends on the machine."""
        return config

    def fit(self, data: CohortData, run_dir: Path) -> None:
        """Train; leaves the model in `checkpoints/`.

        Raises:
            SplitError: the training part is empty.
        """
        rows = data.rows_of("train")
        if rows.empty:
            raise SplitError("no row of the training part can be used.", where="split")
        features = data.feature_table(self._groups)
        columns = list(features["name"])
        values = data.features_of("train", self._groups)[columns].to_numpy(dtype=np.float64)
        record = RunRecord.model_validate(self.record or _plain_record(data, self.name))
        self.model, file = self.fitted(
            values, rows, features, self._horizons or horizons_of(data), record, run_dir
        )
        self._path = self.model.save(run_dir / "checkpoints" / file)

    @abstractmethod
    def fitted(
        self,
        values: Floats,
        rows: pd.DataFrame,
        features: pd.DataFrame,
        horizons: tuple[float, ...],
        record: RunRecord,
        run_dir: Path,
    ) -> tuple[SurvivalModel, str]:
        """The model of the training rows, and the name of its file.

        Args:
            values: (n, features), NaN where undefined.
            rows: n, with `target` and `time_days`.
            features: table of the features.
            horizons: days.
            record: of the run.
            run_dir: where further tables go.
        """

    def cuts_of(self, score: Floats) -> tuple[float, ...]:
        """What separates the risk groups: quantiles of the training patients' risk scores."""
        found = np.unique(np.quantile(score, np.linspace(0, 1, self._n_groups + 1)[1:-1]))
        return tuple(float(cut) for cut in found if score.min() < score.max())

    def predict(self, data: CohortData, part: str) -> pd.DataFrame:
        """The risks of the rows of one part in the table's order; see `SurvivalModel.scores`.

        Raises:
            TrainingError: the model is not fitted, or gives no finite risk.
        """
        if self.model is None:
            raise TrainingError(f"{self.name} is not fitted.", fix="call fit first.")
        found = self.model.scores(data.features_of(part, self._groups))
        if not np.isfinite(found.to_numpy(dtype=float)).all():
            raise TrainingError(
                f"some risks of the part {part!r} are not finite.", fix=self.instead_of_infinite
            )
        key = f"{data.unit}_id"
        return found.assign(**{key: data.rows_of(part)[key].astype(str).to_numpy()})

    instead_of_infinite = "choose fewer features, or another model."
    """What to do where risks are not finite."""

    def keep(self, **fields: Any) -> None:
        """Write fields of the record into the kept model."""
        if self.model is not None and self._path is not None:
            self.model = self.model.with_record(**fields)
            self.model.save(self._path)

    def describe(self) -> dict[str, Any]:
        """Name, kind, number of features."""
        number = 0 if self.model is None else len(self.model.columns)
        return {"model": self.name, "kind": self._kind, "features": str(number)}

    @abstractmethod
    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How the model was fitted, for the report."""


def horizons_of(data: CohortData) -> tuple[float, ...]:
    """Quartiles of the times of all events, in whole days; they say where risks are judged."""
    rows = data.manifest
    times = rows.loc[rows["status"].eq("ok") & rows["target"].eq(1), TIME].to_numpy(dtype=float)
    found = np.unique(np.maximum(1, np.round(np.quantile(times, [0.25, 0.5, 0.75]))))
    return tuple(float(days) for days in found)


def endpoint_words(rule: Mapping[str, Any]) -> str:
    """The endpoint of a label rule's node in words."""
    if "column" not in rule or "positive" not in rule:
        return "that of the label rule"
    positive = rule["positive"]
    named = positive if isinstance(positive, list | tuple) else [positive]
    text = f"{rule['column']} {' or '.join(map(str, named))}, by {rule.get('time') or TIME}"
    return text + (f", within {rule['horizon']:g} days" if rule.get("horizon") else "")


def _checked_horizons(given: Sequence[float] | float | None) -> tuple[float, ...]:
    if given is None:
        return ()
    listed = [given] if isinstance(given, int | float) else list(given)
    if not listed or any(
        isinstance(d, bool) or not isinstance(d, int | float) or not 0 < d < np.inf for d in listed
    ):
        raise ConfigError(
            f"must be numbers of days above 0, not {given!r}.", where="model.horizons",
            fix="use [7, 14, 28].",
        )  # fmt: skip
    return tuple(sorted({float(d) for d in listed}))


def _plain_record(data: CohortData, name: str) -> Node:
    """The record of a run without a configuration, as in a script of the user's own."""
    return {
        "config": {}, "split_hash": data.split.hash, "preprocess": data.input_record(),
        "model": name,
    }  # fmt: skip
