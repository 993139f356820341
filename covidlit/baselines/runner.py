"""The runner (contract 5) of the classical baselines: scikit-learn behind the same seam."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV

from covidlit.baselines.calibration import checked_calibration, instead_of_calibration
from covidlit.baselines.classifier import (
    LearnsThresholds,
    OwnPreparation,
    build_classifier,
    build_pipeline,
    scan_weights,
    takes_patients,
    takes_weights,
)
from covidlit.baselines.fitted_at_once import require_no_checkpoint
from covidlit.baselines.folds import Folds, patient_folds
from covidlit.baselines.model import ClassicalModel
from covidlit.baselines.preparation import Scale, untold_features
from covidlit.baselines.search import (
    SearchResult,
    TrainingScans,
    check_search_folds,
    nested_search,
    set_parameters,
)
from covidlit.baselines.selection import Selection, pipeline_of, selection_of, told_of_features
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.class_names import in_target_order
from covidlit.cohort.feature_ranking import check_k_best
from covidlit.datamodules.cohort_data import Planned
from covidlit.errors import ConfigError, TrainingError
from covidlit.files import write_json
from covidlit.settings.words import Node, settings_text
from covidlit.tables import write_table
from covidlit.tasks.scores import score_table

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData

log = logging.getLogger(__name__)

THRESHOLDS = "thresholds.csv"
"""In a run's folder: what a classifier by thresholds has learnt."""


class ClassicalRunner:
    """Fits a scikit-learn classifier to the named features of a cohort's rows.

    Learns from the part `train` alone, without augmentation. What a network gets by drawing rows
    more often or by weights in its loss, the classifier gets by weights of the rows.

    Args:
        name: of the model, as it stands in the predictions table.
        classifier: a node with the `_target_` of a classifier of scikit-learn and its arguments.
        features: groups of features, of those that the data have; of tables also features by name
            and presets (`covidlit.cohort.feature_presets`). None: all.
        scale: True: give the features mean 0 and standard deviation 1 first; "quantile": a normal
            distribution.
        missing: what is done about undefined values, see
            `covidlit.baselines.preparation.preparation_steps`; None: what suits the classifier.
        k_best: so many features with the largest F values stay, chosen wherever the classifier is
            fitted, in the folds of a search and of the calibration too; None: all.
        calibration: `method` (sigmoid or isotonic) and `folds`, by patient, inside the training
            part: turns the classifier's values into probabilities. None: its own probabilities.
        class_weights: None, "balanced" (inverse frequency in the training part) or one per class.
        tune: choose parameters by `search`.
        search: `grid`, `folds`, `outer_folds`, `scoring`; see `covidlit.baselines.search`.
        seed: of the folds and the classifier.
        ckpt_path: must be None: a classifier is fitted at once, there is nothing to resume.
        classes: names of the classes in the order of the targets, for a task with more than two.
        record: what the kept model says about the run; `covidlit.checkpoints.record.RunRecord`.
        published: name of figures of a paper that the run's report puts beside its own
            (`covidlit.evaluation.published_figures`); the runner itself has no use for it.

    Attributes:
        features: after `check` or `fit`, the names of the features that it learns from.
        model: after `fit`, the fitted classifier.
        found: after `fit`, what the search found, if there was one.

    Raises:
        ConfigError: a setting that does not exist or does not fit; the message names it.
    """

    def __init__(
        self,
        name: str,
        classifier: Node,
        features: Sequence[str] | str | None = None,
        scale: Scale = True,
        calibration: Node | None = None,
        class_weights: str | Sequence[float] | None = None,
        tune: bool = False,
        search: Node | None = None,
        seed: int = 0,
        ckpt_path: str | None = None,
        classes: Sequence[str] | None = None,
        record: Node | None = None,
        published: str | None = None,
        missing: str | None = None,
        k_best: int | None = None,
    ) -> None:
        require_no_checkpoint(name, ckpt_path)
        self.name = name
        self.features: tuple[str, ...] = ()
        self._groups = [features] if isinstance(features, str) else features
        self._counts = ""
        self.record: Node = dict(record or {})
        self.classes = list(classes or ())
        self.model: ClassicalModel | None = None
        self.found: SearchResult | None = None
        self._node = dict(classifier)
        self._pipeline = build_pipeline(
            build_classifier(classifier, seed),
            scale=scale,
            missing=missing,
            seed=seed,
            k_best=k_best,
        )
        self._k_best = k_best
        self._scale, self._missing = scale, missing or "median"
        self._calibration = None if calibration is None else checked_calibration(calibration)
        self._class_weights = class_weights
        self._search = dict(search or {}) if tune else None
        self._seed = seed
        self._path: Path | None = None
        self._told: set[str] = set()
        self._left_out: dict[str, str] = {}
        self._selected: Selection | None = None
        if self._calibration is None and not hasattr(self._pipeline, "predict_proba"):
            raise ConfigError(
                f"{self._node['_target_']} gives no probabilities by itself.",
                where="model.calibration",
                fix="set it to {method: sigmoid, folds: 5}.",
            )

    @property
    def outcome(self) -> str:
        """Classification."""
        return "classification"

    @property
    def selected_on(self) -> str | None:
        """What chose the parameters, for the report; None where they are as given."""
        return None if self._search is None else "folds of the training part"

    @property
    def cut_short(self) -> str:
        """Empty: the Trainer's debugging settings do not reach a classical model."""
        return ""

    def check(self, data: CohortData) -> None:
        """Make sure that the data have the features, and patients enough for each fold.

        Raises:
            ConfigError: there is no such group of features, or a setting of the weights or of the
                folds inside the training part that does not fit the patients of its classes.
        """
        self._check_features(data)
        rows = Planned(data).rows_of("train")
        self._weights_of(data, rows)
        self._check_folds(rows)

    def _check_folds(self, rows: pd.DataFrame) -> None:
        target, patients = rows["target"].to_numpy(dtype=np.int64), rows["patient_id"].to_numpy(str)
        if target.size and isinstance(self._classifier, OwnPreparation):
            self._classifier.check_training(target, patients)
        if target.size and self._search is not None:
            check_search_folds(target, patients, self._search, seed=self._seed)
        if target.size and self._calibration is not None:
            self._calibration_folds(target, patients)

    def _check_features(self, data: CohortData) -> None:
        table = data.feature_table(self._groups)
        self.features = tuple(table["name"])
        check_k_best(self._k_best, len(table), "model.k_best")
        if isinstance(self._classifier, OwnPreparation):
            self._classifier.name_features(table)
        counts = table.groupby("group", sort=False).size()
        self._counts = ", ".join(f"{group} {count}" for group, count in counts.items())

    def _tell(self, text: str) -> None:
        """Once, however often the data are looked at."""
        if text not in self._told:
            log.warning("%s", text)
        self._told.add(text)

    def settle(self, config: dict[str, Any], data: CohortData) -> dict[str, Any]:
        """Nothing depends on the machine."""
        return config

    def fit(self, data: CohortData, run_dir: Path) -> None:
        """Train; leaves `checkpoints/model.skops`, `features.csv` and, if tuned, `search.json`.

        A classifier by thresholds leaves `thresholds.csv` too.

        Raises:
            SplitError: no training scan could be prepared, or those of one class only.
            ConfigError: the classifier's arguments do not fit, or folds that cannot be made.
        """
        self._check_features(data)
        data.check_learnable()
        scans = self._training_scans(data)
        features = data.feature_table(self._groups)
        self._left_out = untold_features(features["name"], scans.x)
        if self._left_out:
            self._tell(
                f"Features that tell nothing in the training part: {_listed(self._left_out)}."
            )
        try:
            pipeline = self._pipeline
            if self._search is not None:
                self.found = nested_search(pipeline, scans, self._search, seed=self._seed)
                write_json(run_dir / "search.json", self.found.as_json())
                pipeline = set_parameters(pipeline, self.found.chosen)
            estimator = self._fit_estimator(pipeline, scans)
        except ValueError as error:
            raise ConfigError(
                f"{self._node['_target_']} cannot be fitted: {' '.join(str(error).split())}",
                where="model.classifier",
                fix="correct its arguments.",
            ) from error
        self._selected = selection_of(pipeline_of(estimator), self.features)
        said = told_of_features(features, scans.x, self._left_out, self._selected)
        write_table(said, run_dir / "features.csv")
        self.record = self.record or _plain_record(data, self.name, self.classes)
        record = RunRecord.model_validate(self.record)
        if isinstance(own := _own_part(estimator), LearnsThresholds):
            table = own.threshold_table(scans.x, scans.target, scans.patients, features)
            write_table(table, run_dir / THRESHOLDS)
        self.model = ClassicalModel(estimator, self.features, record)
        self._path = self.model.save(run_dir / "checkpoints" / "model.skops")

    def predict(self, data: CohortData, part: str) -> pd.DataFrame:
        """Score the rows of one part in the table's order.

        Raises:
            TrainingError: the model is not fitted, or gives no finite score.
        """
        if self.model is None:
            raise TrainingError(f"{self.name} is not fitted.", fix="call fit first.")
        scores = self.model.scores_of(self._features_of(data, part))
        if not np.isfinite(scores).all():
            raise TrainingError(f"some scores of the part {part!r} are not finite.")
        key = f"{data.unit}_id"
        return score_table(data.rows_of(part)[key].astype(str), scores, self.classes, key=key)

    def keep(self, **fields: Any) -> None:
        """Write fields of the record into the kept model."""
        if self.model is not None and self._path is not None:
            self.model = self.model.with_record(**fields)
            self.model.save(self._path)

    def describe(self) -> dict[str, Any]:
        """Name, class of the classifier, number of features of each group."""
        return {
            "model": self.name,
            "classifier": self._node["_target_"].rpartition(".")[2],
            "features": f"{len(self.features)} ({self._counts})",
        }

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How the classifier was fitted, for the report."""
        chosen = self.found.chosen if self.found else {}
        calibration = self._calibration
        balanced = config["data"].get("balanced")
        weighted = f"as data.balanced={balanced}" if balanced else ""
        if balanced and not takes_weights(self._classifier):
            weighted = "not at all: the classifier takes no weights"
        own = None if self.model is None else _own_part(self.model.estimator)
        return {
            **({"rule": own.sentence()} if own else {}),
            "settings": settings_text({**self._node, **chosen}),
            **({"features that tell nothing": _listed(self._left_out)} if self._left_out else {}),
            **({"features selected": self._selected.sentence()} if self._selected else {}),
            "parameters": self.found.sentence() if self.found else "as given",
            "calibration": f"{calibration['method']}, in {calibration['folds']} folds by patient "
            "of the training part"
            if calibration
            else "none: its score ranks rows, and is no probability"
            if own
            else "none: the classifier's own probabilities",
            **({} if own else {"scaled": str(self._scale), "missing values": self._missing}),
            "rows weighted": weighted or "alike",
            "class weights": str(self._class_weights or "none"),
            "augmentation": "none",
        }

    @property
    def _classifier(self) -> Any:
        """As it was built, not fitted."""
        return self._pipeline.named_steps["classifier"]

    def _features_of(self, data: CohortData, part: str) -> NDArray[np.float64]:
        return data.features_of(part, self._groups)[list(self.features)].to_numpy(dtype=float)

    def _training_scans(self, data: CohortData) -> TrainingScans:
        rows = data.rows_of("train")
        weights = self._weights_of(data, rows)
        x = self._features_of(data, "train")
        target = rows["target"].to_numpy(dtype=np.int64)
        patients = rows["patient_id"].to_numpy(dtype=str)
        return TrainingScans(x, target, patients, weights, told=takes_patients(self._classifier))

    def _weights_of(self, data: CohortData, rows: pd.DataFrame) -> NDArray[np.float64] | None:
        target = rows["target"].to_numpy(dtype=np.int64)
        balanced = getattr(data, "balanced", False)
        weights = scan_weights(
            target,
            rows["centre"].to_numpy(dtype=object) if "centre" in rows else np.full(len(rows), ""),
            balanced=balanced,
            class_weights=self._class_weights,
            n_classes=len(self.classes) or 2,
        )
        classifier = self._classifier
        if weights is not None and not takes_weights(classifier):
            kind = type(classifier).__name__
            if self._class_weights is not None:
                raise ConfigError(
                    f"{kind} takes no weights.",
                    where="model.class_weights",
                    fix="set it to null, or choose another classifier.",
                )
            self._tell(f"{kind} takes no weights: data.balanced has no effect on it.")
            return None
        return weights

    def _fit_estimator(self, pipeline: Any, scans: TrainingScans) -> Any:
        if self._calibration is None:
            return pipeline.fit(scans.x, scans.target, **scans.fit_arguments())

        folds = self._calibration_folds(scans.target, scans.patients)
        # One classifier of all training scans; its calibration is learned from scores of scans
        # that were held back. Unweighted, so that a score is a probability in the training part.
        method = self._calibration["method"]
        calibrated = CalibratedClassifierCV(pipeline, method=method, cv=folds, ensemble=False)
        calibrated.fit(scans.x, scans.target, **scans.fit_arguments())
        return calibrated.set_params(cv=None)  # which scans were in a fold is not kept

    def _calibration_folds(
        self, target: NDArray[np.integer], patients: NDArray[np.generic]
    ) -> Folds:
        assert self._calibration is not None
        return patient_folds(
            target,
            patients,
            self._calibration["folds"],
            seed=self._seed,
            where="model.calibration.folds",
            without=instead_of_calibration(self._pipeline),
        )


def _listed(left_out: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in left_out.items())


def _own_part(estimator: Any) -> OwnPreparation | None:
    """The fitted classifier of covidlit's own in a pipeline, calibrated or not, if it is one."""
    part = pipeline_of(estimator).named_steps["classifier"]
    return part if isinstance(part, OwnPreparation) else None


def _plain_record(data: CohortData, name: str, classes: Sequence[str]) -> Node:
    """The record of a run without a configuration, as in a script of the user's own."""
    record = RunRecord.model_validate(
        {
            "config": {},
            "split_hash": data.split.hash,
            "preprocess": data.input_record(),
            "model": name,
            "classes": list(in_target_order(classes)),
        }
    )
    return record.model_dump(mode="json")
