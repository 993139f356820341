"""A fitted baseline with the record of its run: kept with skops, never pickle, and loaded back."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import skops.io
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from covidlit.baselines.archive import check_archive
from covidlit.baselines.selection import used_features
from covidlit.checkpoints.record import PreprocessRecord, RunRecord
from covidlit.errors import CheckpointError
from covidlit.files import atomic_path
from covidlit.preprocess.features.catalogue import FEATURE_FORMAT, FEATURE_NAMES, volume_features

MODEL_FORMAT = 1
"""Number of the file's format: raised when what it holds changes its meaning."""

ALLOWED_TYPES = {
    "covidlit.baselines.best_single.BestSingle",
    "covidlit.baselines.boosted_trees.BoostedTrees",
    "covidlit.baselines.factor_thresholds.classifier.FactorThresholds",
    *(
        f"covidlit.baselines.preparation.{name}"
        for name in ("EmptyFeatures", "IterativeImputation", "QuantileNormal", "VaryingFeatures")
    ),
    "covidlit.baselines.selection.KBestFeatures",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(
        f"sklearn.gaussian_process.kernels.{name}"
        for name in ("ConstantKernel", "Matern", "Product", "RBF", "Sum", "WhiteKernel")
    ),
    "sklearn.impute._iterative._ImputerTriplet",
    *(
        f"sklearn.metrics._dist_metrics.{name}Distance64"
        for name in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
    ),
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
}
"""What a model may hold beside what skops trusts by itself (arrays, plain values and scikit-learn's
public estimators): covidlit's own classifiers and preparation, and the parts of scikit-learn's
fitted ones, by their exact names."""

_PARTS = ("format", "feature_format", "features", "record", "versions", "estimator")
_GARBLED = (
    ArithmeticError, AttributeError, EOFError, ImportError, LookupError, MemoryError, RuntimeError,
    TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What skops raises on a file that is not what it seems, or that other versions wrote."""
_RETRAIN = "use a model that covidlit wrote (runs/<name>/<date>/checkpoints/model.skops)."


@dataclass(frozen=True)
class ClassicalModel:
    """A fitted scikit-learn classifier that scores prepared volumes, or other rows of features.

    Args:
        estimator: fitted; has `predict_proba` and `classes_`.
        features: names of the features that it takes, in order.
        record: of the run that fitted it.
    """

    estimator: Any
    features: tuple[str, ...]
    record: RunRecord

    @property
    def name(self) -> str:
        """What computes the scores, for people."""
        return f"scikit-learn ({self.record.model})"

    @property
    def used_features(self) -> tuple[str, ...]:
        """Those of `features` that its scores hang on, where it was told to select."""
        return used_features(self.estimator, self.features)

    @property
    def n_classes(self) -> int:
        """2, or the number of classes of the run's label rule."""
        return len(self.record.classes) or 2

    def scores(self, hu: NDArray[np.int16]) -> list[float] | list[list[float]]:
        """Scores of prepared volumes.

        Args:
            hu: int16 HU (B, z, y, x), prepared with the geometry of `record.volume_input`.

        Returns:
            B probabilities of the positive class in [0, 1], or with more classes B lists of one
            probability per class.
        """
        spacing = self.record.volume_input.geometry.spacing
        rows = [list(volume_features(volume, spacing).values()) for volume in np.asarray(hu)]
        table = np.asarray(rows, dtype=float).reshape(-1, len(FEATURE_NAMES))
        return self.scores_of(table[:, [FEATURE_NAMES.index(name) for name in self.features]])

    def scores_of(
        self, table: NDArray[np.float64] | pd.DataFrame
    ) -> list[float] | list[list[float]]:
        """Scores of rows of features, as `scores` gives them.

        Args:
            table: (n, len(self.features)), its columns as in `features`; or a data frame, whose
                columns are found by their names, in any order and among others.

        Raises:
            CheckpointError: a data frame lacks a feature.
        """
        if not len(table):
            return []
        found = self.estimator.predict_proba(self._by_name(table))
        # A class without a training scan is unknown to the classifier.
        probabilities = np.zeros((len(table), self.n_classes))
        probabilities[:, np.asarray(self.estimator.classes_, dtype=int)] = found
        probabilities = probabilities.clip(0.0, 1.0)
        return probabilities[:, 1].tolist() if self.n_classes == 2 else probabilities.tolist()

    def _by_name(self, table: NDArray[np.float64] | pd.DataFrame) -> NDArray[np.float64]:
        if isinstance(table, np.ndarray):
            return table
        if lacking := [name for name in self.features if name not in table]:
            raise CheckpointError(
                f"the table has no {', '.join(lacking)}, which the model takes.",
                fix="give undefined values (NaN) where a feature was not measured.",
            )
        return table[list(self.features)].to_numpy(dtype=np.float64)

    def with_record(self, **fields: Any) -> ClassicalModel:
        """The same model with other fields of its record, for example `operating_point=0.41`."""
        record = RunRecord.model_validate(self.record.model_dump() | fields)
        return replace(self, record=record)

    def save(self, path: str | Path) -> Path:
        """Keep the model at `path` with skops; atomic.

        Raises:
            CheckpointError: it holds types that `load_model` would refuse.
            CovidlitError: the file cannot be written.
        """
        content = {
            "format": MODEL_FORMAT,
            "feature_format": FEATURE_FORMAT,
            "features": list(self.features),
            "record": self.record.model_dump_json(),
            "versions": {name: version(name) for name in ("covidlit", "scikit-learn", "skops")},
            "estimator": self.estimator,
        }
        with atomic_path(path) as temporary:
            skops.io.dump(content, temporary, compression=zipfile.ZIP_DEFLATED)
            _check_types(temporary, shown=Path(path))
        return Path(path)


def load_model(path: str | Path) -> ClassicalModel:
    """The model of a `model.skops`; nothing in it is executed, and no other type is built.

    Raises:
        CheckpointError: missing, damaged, of another format, or untrusted: it holds types outside
            `ALLOWED_TYPES`. The message names what was found.
    """
    path = Path(path)
    if not path.is_file():
        folder = path if path.is_dir() else path.parent
        there = sorted({*folder.glob("*.skops"), *folder.glob("checkpoints/*.skops")})
        listed = ", ".join(str(found.relative_to(folder)) for found in there)
        raise CheckpointError(
            "it is a folder." if path.is_dir() else "there is no such file.",
            where=path,
            fix=f"choose one of {listed} in {folder}." if there else "check the path.",
        )
    check_archive(path)
    try:
        content = skops.io.load(path, trusted=_check_types(path))
    except _GARBLED as error:
        raise _damaged(path, error) from error
    _check_content(content, path)
    try:
        record = RunRecord.model_validate_json(content["record"])
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(
            f"its record of the run is incomplete ({'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}).",
            where=path,
            fix=_RETRAIN,
        ) from error
    features = tuple(map(str, content["features"]))
    if isinstance(record.preprocess, PreprocessRecord) and not {*features} <= {*FEATURE_NAMES}:
        raise CheckpointError(
            "the model is damaged: its list of features is not what it should be.",
            where=path,
            fix=_RETRAIN,
        )
    return ClassicalModel(content["estimator"], features, record)


def _check_types(path: Path, shown: Path | None = None) -> list[str]:
    """The types in a file that skops does not trust by itself, all of them allowed here."""
    try:
        found = skops.io.get_untrusted_types(file=path)
    except _GARBLED as error:
        raise _damaged(path, error) from error
    refused = [name for name in found if name not in ALLOWED_TYPES]
    if refused:
        raise CheckpointError(
            f"untrusted: it holds {', '.join(refused)}, which a model of covidlit may not. "
            "Nothing was executed.",
            where=shown or path,
            fix="do not use a file from elsewhere that says this; of your own classifiers take "
            "one that needs no such part.",
        )
    return found


def _check_content(content: Any, path: Path) -> None:
    if not isinstance(content, dict) or any(name not in content for name in _PARTS):
        raise CheckpointError("this is not a model of covidlit.", where=path, fix=_RETRAIN)
    written = content["format"], content["feature_format"]
    if written != (MODEL_FORMAT, FEATURE_FORMAT):
        raise CheckpointError(
            f"the model has format {written[0]!r} and features of format {written[1]!r}, this "
            f"version of covidlit reads {MODEL_FORMAT} and {FEATURE_FORMAT}.",
            where=path,
            fix="use the version of covidlit that wrote it, or train again.",
        )
    if wrong := ", ".join(_wrong_parts(content, (Pipeline, CalibratedClassifierCV))):
        raise CheckpointError(
            f"the model is damaged: its {wrong} is not what it should be.",
            where=path,
            fix=_RETRAIN,
        )


def _wrong_parts(content: dict[str, Any], kinds: tuple[type, ...]) -> Iterator[str]:
    names, estimator = content["features"], content["estimator"]
    if not isinstance(names, list) or not names:
        yield "list of features"
    if not isinstance(content["record"], str):
        yield "record"
    if not isinstance(estimator, kinds) or not hasattr(estimator, "classes_"):
        yield "estimator"


def _damaged(path: Path, error: Exception) -> CheckpointError:
    if zipfile.is_zipfile(path) and not isinstance(error, json.JSONDecodeError):
        what = f"the model cannot be loaded with scikit-learn {version('scikit-learn')}: "
        what += f"{type(error).__name__}."
        return CheckpointError(what, where=path, fix="use the versions that wrote it, or train.")
    return CheckpointError(
        f"the file ({path.stat().st_size} bytes) is truncated or not a model.",
        where=path,
        fix="copy it again, or train again.",
    )
