"""The runner (contract 5) of Cox's model: times to an endpoint on tables of numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from covidlit.baselines.cox.coefficients import coefficient_table
from covidlit.baselines.cox.fit import FEW_EVENTS, CoxFit, fit_cox
from covidlit.baselines.cox.model import FILE, CoxModel
from covidlit.baselines.cox.proportional_hazards import HazardCheck, check_proportional_hazards
from covidlit.baselines.fitted_at_once import require_no_checkpoint
from covidlit.baselines.preparation import untold_features
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.endpoint import TIME
from covidlit.datamodules.cohort_data import Planned
from covidlit.errors import ConfigError, SplitError, TrainingError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.models.fusion_ann.preparation import Preparation
from covidlit.models.fusion_ann.settings import TRANSFORMS
from covidlit.settings.words import Node
from covidlit.tables import write_table

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData

log = logging.getLogger(__name__)

COEFFICIENTS = "coefficients.csv"
"""In a run's folder: hazard ratios, and the check of proportional hazards."""


class CoxRunner:
    """Fits Cox's model to the named features of a cohort's rows.

    Scaling, what a missing value counts as, and which features vary come from the training part
    alone. What cannot be fitted (no event, nothing that varies) is said and gives everybody one
    risk.

    Args:
        name: of the model, as it stands in the tables.
        features: groups of features, features by name and presets; None: all that the data have.
        transform: of numbers, "standard" or "quantile".
        indicators: further features that say where a number is missing.
        penalty: of squared coefficients; see `covidlit.baselines.cox.fit.fit_cox`.
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
        name: str = "cox",
        features: Sequence[str] | str | None = None,
        transform: str = "standard",
        indicators: bool = False,
        penalty: float = 0.01,
        horizons: Sequence[float] | float | None = None,
        risk_groups: int = 3,
        ckpt_path: str | None = None,
        record: Node | None = None,
    ) -> None:
        require_no_checkpoint(name, ckpt_path)
        if transform not in TRANSFORMS:
            raise ConfigError(
                f"there is no transform {transform!r}.", where="model.transform",
                fix=f"use {' or '.join(TRANSFORMS)}.",
            )  # fmt: skip
        if isinstance(penalty, bool) or not isinstance(penalty, int | float) or not (
            0 <= penalty < np.inf
        ):  # fmt: skip
            raise ConfigError(
                f"must be a number of at least 0, not {penalty!r}.", where="model.penalty",
                fix="use 0.01, or 0 for none.",
            )  # fmt: skip
        if isinstance(risk_groups, bool) or risk_groups not in range(2, 6):
            raise ConfigError(
                f"must be a whole number from 2 to 5, not {risk_groups!r}.",
                where="model.risk_groups", fix="use 3.",
            )  # fmt: skip
        self.name, self.record = name, dict(record or {})
        self._groups = [features] if isinstance(features, str) else features
        self._transform, self._indicators = transform, bool(indicators)
        self._penalty, self._n_groups = float(penalty), int(risk_groups)
        self._horizons = _checked_horizons(horizons)
        self.model: CoxModel | None = None
        self._path: Path | None = None
        self._untold: dict[str, str] = {}
        self._violations: list[str] = []

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
        """
        if TIME not in data.manifest:
            raise ConfigError(
                "the rows have no times: Cox's model learns when an event comes.",
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
        """Train; leaves `checkpoints/cox.json` and `coefficients.csv`."""
        rows = data.rows_of("train")
        if rows.empty:
            raise SplitError("no row of the training part can be used.", where="split")
        features = data.feature_table(self._groups)
        columns = list(features["name"])
        raw = data.features_of("train", self._groups)[columns]
        values = raw.to_numpy(dtype=np.float64)
        self._untold = untold_features(columns, values)
        time = rows[TIME].to_numpy(dtype=float)
        event = rows["target"].to_numpy(dtype=np.int64)
        preparation, names = self._preparation(values, event, columns)
        x = np.zeros((len(rows), 0)) if preparation is None else Preparation(preparation)(values)
        fit = fit_cox(x, time, event, penalty=self._penalty, names=names)
        check = check_proportional_hazards(x, time, event, fit)
        score = fit.log_hazard(x)
        cuts = np.unique(np.quantile(score, np.linspace(0, 1, self._n_groups + 1)[1:-1]))
        record = RunRecord.model_validate(self.record or _plain_record(data, self.name))
        self.model = CoxModel(
            tuple(columns), preparation, tuple(names), fit,
            tuple(float(cut) for cut in cuts if score.min() < score.max()),
            self._horizons or horizons_of(data), record,
        )  # fmt: skip
        self._path = self.model.save(run_dir / "checkpoints" / FILE)
        table = coefficient_table(names, fit, check, features)
        write_table(table, run_dir / COEFFICIENTS)
        self._say(fit, check, table)

    def predict(self, data: CohortData, part: str) -> pd.DataFrame:
        """The risks of the rows of one part in the table's order; see `CoxModel.scores`.

        Raises:
            TrainingError: the model is not fitted, or gives no finite risk.
        """
        if self.model is None:
            raise TrainingError(f"{self.name} is not fitted.", fix="call fit first.")
        found = self.model.scores(data.features_of(part, self._groups))
        if not np.isfinite(found.to_numpy(dtype=float)).all():
            raise TrainingError(
                f"some risks of the part {part!r} are not finite.", fix="set model.penalty=0.1."
            )
        key = f"{data.unit}_id"
        return found.assign(**{key: data.rows_of(part)[key].astype(str).to_numpy()})

    def keep(self, **fields: Any) -> None:
        """Write fields of the record into the kept model."""
        if self.model is not None and self._path is not None:
            self.model = self.model.with_record(**fields)
            self.model.save(self._path)

    def describe(self) -> dict[str, Any]:
        """Name, kind, number of features."""
        number = 0 if self.model is None else len(self.model.names)
        return {"model": self.name, "kind": "Cox proportional hazards", "features": str(number)}

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How the model was fitted, for the report."""
        if self.model is None:
            return {}
        fit = self.model.fit
        untold = ", ".join(f"{name} ({why})" for name, why in self._untold.items())
        return {
            "endpoint": _endpoint_words(config.get("label_rule") or {}),
            "training patients": f"{fit.n}, {fit.n_events} events, "
            f"{fit.events_per_variable:.1f} for each of {int(fit.fitted.sum())} variables",
            "ties": "Efron",
            "penalty": f"{self._penalty:g} of squared coefficients" if self._penalty else "none",
            "scaled": self._transform,
            "missing values": "median of the training part"
            + (", and a feature that says where" if self._indicators else ""),
            **({"features that tell nothing": untold} if untold else {}),
            "proportional hazards": "; ".join(self._violations) or "no feature is against them",
            **({"to consider": "; ".join(fit.problems)} if fit.problems else {}),
        }

    def _preparation(
        self, values: np.ndarray, event: np.ndarray, columns: list[str]
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """Settings of the preparation, and the names of the prepared features."""
        if len(self._untold) == len(columns):
            return None, []
        settings = fit_preparation(
            values, event, range(len(columns)), columns,
            transform=self._transform, indicators=self._indicators,
        )  # fmt: skip
        named = [f"{settings['names'][place]} missing" for place, _ in settings["indicators"]]
        return settings, [*settings["names"], *named]

    def _say(self, fit: CoxFit, check: HazardCheck, table: pd.DataFrame) -> None:
        for problem in fit.problems:
            log.warning("Cox: %s.", problem)
        if fit.events_per_variable >= FEW_EVENTS:
            log.info("Cox: %d events, %.1f for each variable.", fit.n_events,
                     fit.events_per_variable)  # fmt: skip
        if check.reason:
            self._violations = [f"not tested: {check.reason}"]
            return
        against = table[table["ph_p_holm"] < 0.05].sort_values("ph_p_value")
        self._violations = [
            f"the effect of {row['feature']} "
            f"{'grows' if row['ph_correlation'] * row['coefficient'] > 0 else 'fades'} with time "
            f"(p {row['ph_p_value']:.2g}, Holm {row['ph_p_holm']:.2g})"
            for _, row in against.iterrows()
        ]
        for text in self._violations:
            log.warning("Cox: hazards are not proportional: %s.", text)


def horizons_of(data: CohortData) -> tuple[float, ...]:
    """Quartiles of the times of all events, in whole days; they say where risks are judged."""
    rows = data.manifest
    times = rows.loc[rows["status"].eq("ok") & rows["target"].eq(1), TIME].to_numpy(dtype=float)
    found = np.unique(np.maximum(1, np.round(np.quantile(times, [0.25, 0.5, 0.75]))))
    return tuple(float(days) for days in found)


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


def _endpoint_words(rule: Mapping[str, Any]) -> str:
    if "column" not in rule or "positive" not in rule:
        return "that of the label rule"
    positive = rule["positive"]
    named = positive if isinstance(positive, list | tuple) else [positive]
    text = f"{rule['column']} {' or '.join(map(str, named))}, by {rule.get('time') or TIME}"
    return text + (f", within {rule['horizon']:g} days" if rule.get("horizon") else "")


def _plain_record(data: CohortData, name: str) -> Node:
    """The record of a run without a configuration, as in a script of the user's own."""
    return {
        "config": {}, "split_hash": data.split.hash, "preprocess": data.input_record(),
        "model": name,
    }  # fmt: skip
