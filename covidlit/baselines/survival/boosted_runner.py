"""The runner (contract 5) of boosted hazards, and of LightGBM by what the label rule asks for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.baselines.classifier import build_classifier
from covidlit.baselines.preparation import untold_features
from covidlit.baselines.runner import ClassicalRunner
from covidlit.baselines.survival.boosted_fit import fit_boosted_hazards
from covidlit.baselines.survival.boosted_hazards import BoostedHazards
from covidlit.baselines.survival.boosted_model import FILE, BoostedHazardModel
from covidlit.baselines.survival.runner import Floats, SurvivalRunner, endpoint_words
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.endpoint import TIME
from covidlit.counted import counted
from covidlit.errors import ConfigError
from covidlit.settings.words import Node, settings_text
from covidlit.tables import write_table

log = logging.getLogger(__name__)

_TREES = "covidlit.baselines.BoostedTrees"

_OF_CLASSES = {
    "scale": (False, None), "missing": ("own", None), "calibration": (None,),
    "class_weights": (None,), "tune": (False,), "classes": (None, []), "k_best": (None,),
}  # fmt: skip
"""Settings of a classifier, and their values that ask nothing of boosted hazards."""

_INSTEAD = {
    "k_best": "leave it out, or name the features (model.features=[...])",
    "calibration": "leave it out: risks are set by patients held back (model.held_back_folds)",
    "tune": "leave it out, or search by a sweep: python train.py -m model=lightgbm ... "
    "model.classifier.num_leaves=3,5,8",
}


def boosted_runner(
    name: str,
    classifier: Node,
    time: str | None = None,
    horizons: Sequence[float] | float | None = None,
    risk_groups: int = 3,
    held_back_folds: int = 5,
    **settings: Any,
) -> ClassicalRunner | BoostedHazardRunner:
    """The runner of `model=lightgbm`: of classes, or of the hazard of an endpoint in time.

    Args:
        name: of the model, as it stands in the tables.
        classifier: a node of `covidlit.baselines.BoostedTrees`.
        time: the label rule's column of days, where it is one of an endpoint; None: of classes.
        horizons, risk_groups, held_back_folds: of an endpoint; see `BoostedHazardRunner`.
        settings: of a `ClassicalRunner`; of an endpoint `features`, `seed`, `ckpt_path`, `record`.

    Raises:
        ConfigError: a setting that the other kind of runner has, or one out of its range.
    """
    if time is None:
        if horizons is not None:
            raise ConfigError(
                "risks until a time are of an endpoint in time, and the label rule is of classes.",
                where="model.horizons",
                fix="use label_rule=endpoint, or leave it out.",
            )
        return ClassicalRunner(name, classifier, **settings)
    for setting, plain in _OF_CLASSES.items():
        given = settings.pop(setting, plain[0])
        if given not in plain:
            raise ConfigError(
                f"{given!r} is of classes, and label_rule=endpoint asks when an event comes.",
                where=f"model.{setting}",
                fix=f"{_INSTEAD.get(setting, f'set it to {str(plain[0]).lower()}')}.",
            )
    for setting in ("search", "published"):
        settings.pop(setting, None)
    return BoostedHazardRunner(
        name, classifier, horizons=horizons, risk_groups=risk_groups,
        held_back_folds=held_back_folds, **settings,
    )  # fmt: skip


class BoostedHazardRunner(SurvivalRunner):
    """Grows LightGBM's trees on the hazard of an event; numbers are taken as they are.

    What cannot be learnt (no event, no split) is said and gives everybody one risk.

    Args:
        name: of the model, as it stands in the tables.
        classifier: a node of `covidlit.baselines.BoostedTrees`, whose parameters are taken.
        features: groups of features, features by name and presets; None: all that the data have.
        horizons: days at which risks are given; None: quartiles of the times of all events.
        risk_groups: by quantiles of the training patients' risk, each by trees without him.
        held_back_folds: by patient, see
            `covidlit.baselines.survival.boosted_fit.fit_boosted_hazards`; 0: none.
        seed: of the folds and the trees.
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
        classifier: Node,
        features: Sequence[str] | str | None = None,
        horizons: Sequence[float] | float | None = None,
        risk_groups: int = 3,
        held_back_folds: int = 5,
        seed: int = 0,
        ckpt_path: str | None = None,
        record: Node | None = None,
    ) -> None:
        kind = "boosted trees of the hazard"
        super().__init__(name, kind, features, horizons, risk_groups, ckpt_path, record)
        if classifier.get("_target_") != _TREES:
            raise ConfigError(
                f"{classifier.get('_target_')} learns classes, and label_rule=endpoint asks when "
                "an event comes.",
                where="model.classifier",
                fix=f"use {_TREES} (model=lightgbm), or model=cox.",
            )
        folds = held_back_folds
        if isinstance(folds, bool) or not isinstance(folds, int) or folds < 0 or folds == 1:
            raise ConfigError(
                f"must be 0 or a whole number of at least 2, not {folds!r}.",
                where="model.held_back_folds", fix="use 5.",
            )  # fmt: skip
        self._node = dict(classifier)
        self._parameters = build_classifier(classifier, seed).get_params()
        self._folds, self._seed = folds, seed
        self._fit: BoostedHazards | None = None
        self._untold: dict[str, str] = {}

    def fitted(
        self,
        values: Floats,
        rows: pd.DataFrame,
        features: pd.DataFrame,
        horizons: tuple[float, ...],
        record: RunRecord,
        run_dir: Path,
    ) -> tuple[BoostedHazardModel, str]:
        """The model; leaves `features.csv`. See `SurvivalRunner.fitted`."""
        columns = tuple(map(str, features["name"]))
        self._untold = untold_features(columns, values)
        said = {
            "n_missing": np.isnan(values).sum(axis=0),
            "left_out": [self._untold.get(name) for name in columns],
        }
        write_table(features.assign(**said), run_dir / "features.csv")
        fit = fit_boosted_hazards(
            values, rows[TIME].to_numpy(dtype=float), rows["target"].to_numpy(dtype=np.int64),
            rows["patient_id"].to_numpy(dtype=str), self._parameters,
            n_folds=self._folds, seed=self._seed,
        )  # fmt: skip
        for problem in fit.problems:
            log.warning("Boosted hazards: %s.", problem)
        self._fit = fit
        return BoostedHazardModel(columns, fit, self.cuts_of(fit.held_back), horizons, record), FILE

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How the model was fitted, for the report."""
        if (fit := self._fit) is None:
            return {}
        untold = ", ".join(f"{name} ({why})" for name, why in self._untold.items())
        return {
            "endpoint": endpoint_words(config.get("label_rule") or {}),
            "training patients": f"{fit.n}, {counted(fit.n_events, 'event')}",
            "trees": settings_text(self._node),
            "grown on": "Cox's partial likelihood, ties by Breslow",
            "risks": f"log hazards times {fit.factor:.2f} and the baseline hazard by patients held "
            f"back in {fit.n_folds} folds of the training part"
            if fit.n_folds
            else "by the training patients themselves",
            "scaled": "not at all",
            "missing values": "which way they go is learnt at every branch",
            **({"features that tell nothing": untold} if untold else {}),
            **({"to consider": "; ".join(fit.problems)} if fit.problems else {}),
        }
