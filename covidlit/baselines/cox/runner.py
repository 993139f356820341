"""The runner (contract 5) of Cox's model: times to an endpoint on tables of numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.baselines.cox.coefficients import coefficient_table
from covidlit.baselines.cox.fit import FEW_EVENTS, fit_cox
from covidlit.baselines.cox.fitted import CoxFit
from covidlit.baselines.cox.model import FILE, CoxModel
from covidlit.baselines.cox.proportional_hazards import HazardCheck, check_proportional_hazards
from covidlit.baselines.preparation import untold_features
from covidlit.baselines.survival.runner import Floats, SurvivalRunner, endpoint_words
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.endpoint import TIME
from covidlit.counted import counted
from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.models.fusion_ann.preparation import Preparation
from covidlit.models.fusion_ann.settings import TRANSFORMS
from covidlit.settings.words import Node
from covidlit.tables import write_table

log = logging.getLogger(__name__)

COEFFICIENTS = "coefficients.csv"
"""In a run's folder: hazard ratios, and the check of proportional hazards."""


class CoxRunner(SurvivalRunner):
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
        kind = "Cox proportional hazards"
        super().__init__(name, kind, features, horizons, risk_groups, ckpt_path, record)
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
        self._transform, self._indicators = transform, bool(indicators)
        self._penalty = float(penalty)
        self._fit: CoxFit | None = None
        self._names: list[str] = []
        self._untold: dict[str, str] = {}
        self._violations: list[str] = []

    instead_of_infinite = "set model.penalty=0.1."

    def fitted(
        self,
        values: Floats,
        rows: pd.DataFrame,
        features: pd.DataFrame,
        horizons: tuple[float, ...],
        record: RunRecord,
        run_dir: Path,
    ) -> tuple[CoxModel, str]:
        """The model; leaves `coefficients.csv`. See `SurvivalRunner.fitted`."""
        columns = list(features["name"])
        self._untold = untold_features(columns, values)
        time = rows[TIME].to_numpy(dtype=float)
        event = rows["target"].to_numpy(dtype=np.int64)
        preparation, names = self._preparation(values, event, columns)
        self._names = names
        x = np.zeros((len(rows), 0)) if preparation is None else Preparation(preparation)(values)
        fit = fit_cox(x, time, event, penalty=self._penalty, names=names)
        check = check_proportional_hazards(x, time, event, fit)
        table = coefficient_table(names, fit, check, features)
        write_table(table, run_dir / COEFFICIENTS)
        self._say(fit, check, table)
        cuts = self.cuts_of(fit.log_hazard(x))
        self._fit = fit
        model = CoxModel(tuple(columns), preparation, tuple(names), fit, cuts, horizons, record)
        return model, FILE

    def describe(self) -> dict[str, Any]:
        """Name, kind, number of prepared features."""
        return {**super().describe(), "features": str(len(self._names))}

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How the model was fitted, for the report."""
        if (fit := self._fit) is None:
            return {}
        untold = ", ".join(f"{name} ({why})" for name, why in self._untold.items())
        return {
            "endpoint": endpoint_words(config.get("label_rule") or {}),
            "training patients": f"{fit.n}, {counted(fit.n_events, 'event')}, "
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
            log.info("Cox: %s, %.1f for each variable.", counted(fit.n_events, "event"),
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
