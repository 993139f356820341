"""Bootstrap of patients: scans of one patient are not independent, so patients are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from covidlit.evaluation.folds import model_numbers

if TYPE_CHECKING:
    import pandas as pd

Weights = NDArray[np.float64]
Statistic = Callable[[Weights], NDArray[np.float64]]

ONE_PATIENT = "all scans are of one patient"
"""Why there is no interval where `Sampling.single_patient` is true."""

_CHUNK = 4_000_000  # weights held at once, so that memory does not grow with the table


@dataclass(frozen=True)
class Sampling:
    """How the scans of one table were sampled, which decides how intervals are made.

    Where every patient has one scan, scans are independent and closed-form intervals (DeLong,
    Wilson) hold. Where a patient has several, all intervals come from a bootstrap that draws
    patients with all their scans. Where each fold of a cross-validation has a model of its own, an
    AUC is the mean of the folds' AUCs; see `covidlit.evaluation.cross_validation`.

    In a repeated cross-validation a scan stands in each repeat: so many rows say no more of how
    patients differ than one of each, so that patients are what is counted and drawn.

    Attributes:
        patient: shape (n,), patient of each scan.
        confidence: confidence level of every interval.
        n_bootstrap: number of replicates.
        seed: seed of the replicates.
        fold: shape (n,), the `model_number` of the model that scored each scan; None for one model.
        repeat: shape (n,), the repeat of the cross-validation; None where there is one only.
    """

    patient: NDArray[np.generic]
    confidence: float = 0.95
    n_bootstrap: int = 2000
    seed: int = 0
    fold: NDArray[np.integer] | None = None
    repeat: NDArray[np.integer] | None = None
    _index: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    n_patients: int = field(init=False)
    n_repeats: int = field(init=False)

    def __post_init__(self) -> None:
        unique, index = np.unique(np.asarray(self.patient, dtype=str), return_inverse=True)
        repeats = 1 if self.repeat is None else len(np.unique(self.repeat))
        object.__setattr__(self, "_index", index.reshape(-1))
        object.__setattr__(self, "n_patients", len(unique))
        object.__setattr__(self, "n_repeats", max(1, repeats))

    @classmethod
    def independent(cls, n: int, confidence: float = 0.95) -> Sampling:
        """One scan per patient."""
        return cls(np.arange(n), confidence)

    @classmethod
    def of(cls, rows: pd.DataFrame, **settings: Any) -> Sampling:
        """The sampling of rows with a `patient_id` and perhaps a `fold` and a `repeat`.

        Args:
            rows: of a predictions table.
            settings: confidence, n_bootstrap and seed.
        """
        known = "fold" in rows.columns and bool(rows["fold"].notna().all()) and len(rows) > 0
        fold = model_numbers(rows).to_numpy(np.int64) if known else None
        known = "repeat" in rows.columns and bool(rows["repeat"].notna().all()) and len(rows) > 0
        repeat = rows["repeat"].to_numpy(np.int64) if known else None
        return cls(rows["patient_id"].to_numpy(str), fold=fold, repeat=repeat, **settings)

    @property
    def cross_validated(self) -> bool:
        """Whether the models of several folds scored these scans."""
        return self.fold is not None and len(np.unique(self.fold)) > 1

    @property
    def repeated(self) -> bool:
        """Whether the scans stand in several repeats of a cross-validation."""
        return self.n_repeats > 1

    @property
    def clustered(self) -> bool:
        """Whether any patient has more than one row: several scans, or several repeats."""
        return self.n_patients < len(self._index)

    @property
    def several_scans(self) -> bool:
        """Whether any patient has more than one scan."""
        if self.repeat is None or not self.repeated:
            return self.clustered
        pairs = np.stack([self._index, self.repeat])
        return np.unique(pairs, axis=1).shape[1] < len(self._index)

    @property
    def n_scans(self) -> int:
        """Number of scans; each counts once, in however many repeats it stands."""
        return self.per_repeat(len(self._index))

    def per_repeat(self, rows: int) -> int:
        """How many scans so many rows are: their number in a repeat, on average."""
        return rows if not self.repeated else max(min(rows, 1), round(rows / self.n_repeats))

    @property
    def single_patient(self) -> bool:
        """Whether several scans are all of one patient, so that nothing shows how patients vary."""
        return self.clustered and self.n_patients == 1

    @property
    def by_repeat(self) -> Sampling:
        """The same scans, those of each repeat as one model's; of one repeat, of one model."""
        repeat = self.repeat if self.repeated else None
        return replace(self, fold=repeat, repeat=None)

    def subset(self, rows: NDArray[np.bool_]) -> Sampling:
        """The same sampling for the scans where `rows` (shape (n,)) is true."""
        fold = None if self.fold is None else self.fold[rows]
        repeat = None if self.repeat is None else self.repeat[rows]
        return replace(self, patient=np.asarray(self.patient)[rows], fold=fold, repeat=repeat)

    def sum_by_patient(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum over each patient's scans of values of shape (n,); shape (n_patients,)."""
        return np.bincount(self._index, values, self.n_patients).astype(np.float64)

    def rows_by_fold(self) -> dict[int, NDArray[np.bool_]]:
        """Which scans, shape (n,), the model of each fold has scored; one fold 0 without folds."""
        fold = np.zeros(len(self._index), int) if self.fold is None else self.fold
        return {int(number): fold == number for number in np.unique(fold)}

    def count_patients(self, rows: NDArray[np.bool_]) -> int:
        """Number of patients among the scans where `rows` is true."""
        return len(np.unique(self._index[rows]))

    def weights(self) -> Iterator[Weights]:
        """Yield chunks (b, n): how often each scan stands in each replicate; b sums to all."""
        rng = np.random.default_rng(self.seed)
        chunk = max(1, _CHUNK // max(1, len(self._index)))
        for start in range(0, self.n_bootstrap, chunk):
            size = min(chunk, self.n_bootstrap - start)
            drawn = rng.integers(self.n_patients, size=(size, self.n_patients))
            drawn += np.arange(size)[:, None] * self.n_patients
            counts = np.bincount(drawn.ravel(), minlength=size * self.n_patients)
            yield counts.reshape(size, self.n_patients)[:, self._index].astype(np.float64)

    def distribution(self, statistic: Statistic) -> NDArray[np.float64]:
        """The statistic in every replicate, shape (n_bootstrap, ...); NaN where undefined.

        `statistic` takes weights (b, n) and returns (b, ...), vectorised over replicates.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate([statistic(weights) for weights in self.weights()])

    def percentile(
        self, replicates: ArrayLike, value: float | None = None
    ) -> tuple[float, float] | None:
        """Percentile interval of the defined replicates, shape (b,); None if it has no width.

        None is also returned if fewer than half of the replicates are defined: then the interval
        would describe only the samples in which all went well. Where a `value` is given and lies
        outside, as can happen in tiny samples, the interval reaches as far as the value.
        """
        values = np.asarray(replicates, dtype=np.float64)
        defined = values[np.isfinite(values)]
        if len(defined) == 0 or len(defined) < len(values) / 2:
            return None
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        if high - low < 1e-12:
            return None
        ends = (float(low), float(high)) if value is None else (min(low, value), max(high, value))
        return float(ends[0]), float(ends[1])

    def bias_corrected(self, replicates: ArrayLike, value: float) -> tuple[float, float] | None:
        """Bias-corrected percentile interval (Efron, 1981), for statistics that a bootstrap shifts.

        None as in `percentile`.
        """
        if self.percentile(replicates) is None:
            return None
        values = np.asarray(replicates, dtype=np.float64)
        values = values[np.isfinite(values)]
        below = np.clip(np.mean(values < value), 1 / (len(values) + 1), 1 - 1 / (len(values) + 1))
        shift = 2 * stats.norm.ppf(below)
        z = stats.norm.ppf(0.5 + self.confidence / 2)
        low, high = np.quantile(values, stats.norm.cdf([shift - z, shift + z]))
        return float(min(low, value)), float(max(high, value))


def weighted_auc(
    target: NDArray[np.generic], score: NDArray[np.floating], weights: Weights
) -> NDArray[np.float64]:
    """AUC in each replicate.

    Args:
        target: shape (n,), 1 for positive.
        score: shape (n,).
        weights: shape (b, n), how often each scan counts.

    Returns:
        Shape (b,); NaN where a class is absent.
    """
    order = np.argsort(score, kind="stable")
    ordered = np.asarray(score)[order]
    positive = np.asarray(target).astype(bool)[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranked = weights[:, order]
    up = np.add.reduceat(ranked * positive, starts, axis=1)
    down = np.add.reduceat(ranked * ~positive, starts, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (up * below).sum(axis=1) / (up.sum(axis=1) * down.sum(axis=1))
