"""Table 3, readers: each beside the model, on the scans that both have judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.classification import confusion
from covidlit.evaluation.difference import DifferenceTest, bootstrap_test, corrected
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.paired import proportion_difference
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.roc import roc_points
from covidlit.papers.csacnet.readings import Reader, readers
from covidlit.papers.csacnet.subsets import initial_result
from covidlit.papers.methods import Method

NO_READERS = (
    "There is no reader's column in the table. Give each reader a column in the table of labels: "
    "reader_NAME with the calls 0 or 1 (or grades), and reader_NAME_seconds with the time per scan."
)


def reader_study(method: Method, cut: float | None = None) -> dict[str, Any]:
    """Every reader's accuracy and time, and the model against each, JSON-able.

    Returns:
        readers, one record each (see `_record`); seconds, the mean over all readings; statement,
        why there is nothing to show, or None. McNemar's tests are corrected by Holm's method over
        all readers, sensitivity and specificity together.
    """
    test = method.test
    found = readers(test, cut)
    records = [_record(reader, test, method.sampling_of(test)) for reader in found]
    _correct(records)
    timed = [reader.seconds for reader in found if reader.seconds is not None]
    every = np.stack(timed) if timed else np.full((1, len(test)), np.nan)
    return {
        "readers": records,
        "seconds": _mean(every, method.sampling_of(test)).to_dict(),
        "statement": None if found else NO_READERS,
    }


def sensitivity_at_specificity(
    target: NDArray[np.bool_], score: NDArray[np.floating], specificity: float
) -> tuple[float, float]:
    """The highest sensitivity whose specificity is not below the given one, and its threshold.

    Args:
        target: shape (n,), with both classes.
        score: shape (n,).
        specificity: 0 to 1.
    """
    false, true, threshold = roc_points(target, score)
    allowed = (1 - specificity) * (~target).sum() + 1e-9
    place = int(np.flatnonzero(false <= allowed)[-1])
    return float(true[place] / target.sum()), float(threshold[place])


def _record(reader: Reader, test: pd.DataFrame, sampling: Sampling) -> dict[str, Any]:
    """One reader on the scored test scans that were read: accuracy, time, the model beside."""
    read = reader.read
    rows, part = test[read], sampling.subset(read)
    target = rows["target"].to_numpy(bool)
    late = target & (initial_result(rows) == "negative").fillna(False).to_numpy(bool)
    record: dict[str, Any] = {
        "name": reader.name,
        "n": int(read.sum()),
        "n_not_read": int((~read).sum()),
        "remark": reader.remark,
        "auc": None,
        "seconds": None,
        "versus_model": None,
    }
    if reader.seconds is not None:
        record["seconds"] = _mean(reader.seconds[None, :], sampling).to_dict()
    grades = np.unique(reader.value[read])
    if not np.isin(grades, (0.0, 1.0)).all():
        alone = replace(part, fold=None)  # a reader is the same in every fold
        record["auc"] = sampled_auc(target, reader.value[read], alone).to_dict()
    if reader.called is None:
        undefined = Estimate.undefined("grades without a cut", int(read.sum())).to_dict()
        return record | {
            "sensitivity": undefined,
            "sensitivity_initially_negative": undefined,
            "specificity": undefined,
            "confusion": None,
        }
    called = reader.called[read]
    none_late = "no read case with a negative first RT-PCR"
    record |= {
        "sensitivity": proportion(called, target, part, "no read case").to_dict(),
        "sensitivity_initially_negative": proportion(called, late, part, none_late).to_dict(),
        "specificity": proportion(~called, ~target, part, "no read negative scan").to_dict(),
        "confusion": confusion(target, called),
    }
    score = rows["score"].to_numpy(float)
    model = score >= rows["threshold"].to_numpy(float)
    record["versus_model"] = {
        "sensitivity": proportion_difference(model, called, target, part, nothing="no read case"),
        "specificity": proportion_difference(
            ~model, ~called, ~target, part, nothing="no read negative scan"
        ),
        "model_sensitivity": proportion(model, target, part, "no read case").to_dict(),
        "model_specificity": proportion(~model, ~target, part, "no read negative scan").to_dict(),
        "at_reader_specificity": _at_reader_specificity(target, score, called, part),
    }
    return record


def _at_reader_specificity(
    target: NDArray[np.bool_],
    score: NDArray[np.floating],
    called: NDArray[np.bool_],
    sampling: Sampling,
) -> dict[str, Any]:
    """The model's sensitivity where it is as specific as the reader, and how much that is more.

    The interval is a patient bootstrap in which the reader's specificity is drawn anew as well.
    """
    n = len(target)
    if sampling.cross_validated or not target.any() or target.all():
        reason = f"no read {'negative scan' if target.any() else 'case'}"
        if sampling.cross_validated:
            reason = "the models of different folds have no threshold in common"
        test = DifferenceTest.undefined(reason, "patient bootstrap", n)
        nothing = Estimate.undefined(reason, n).to_dict()
        return {"sensitivity": nothing, "threshold": None, "difference": test.to_dict()}
    value, threshold = sensitivity_at_specificity(target, score, 1 - called[~target].mean())
    sensitivity = proportion(score >= threshold, target, sampling)

    def difference(weights: Weights) -> NDArray[np.float64]:
        reader = (weights @ (called & target)) / (weights @ target)
        return weighted_sensitivity(target, score, called, weights) - reader

    reader = float(called[target].mean())
    test = bootstrap_test(value - reader, sampling.distribution(difference), sampling)
    return {
        "sensitivity": sensitivity.to_dict(),
        "threshold": threshold if np.isfinite(threshold) else None,
        "difference": test.to_dict(),
    }


def weighted_sensitivity(
    target: NDArray[np.bool_],
    score: NDArray[np.floating],
    called: NDArray[np.bool_],
    weights: Weights,
) -> NDArray[np.float64]:
    """`sensitivity_at_specificity` at the reader's specificity in each replicate.

    Args:
        target: shape (n,), true for cases.
        score: shape (n,), of the model.
        called: shape (n,), the reader's calls.
        weights: shape (b, n), how often each scan counts.

    Returns:
        Shape (b,); NaN where a class is absent.
    """
    order = np.argsort(-score, kind="stable")
    ordered, positive = score[order], target[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranked = weights[:, order]
    false = np.cumsum(np.add.reduceat(ranked * ~positive, starts, axis=1), axis=1)
    true = np.cumsum(np.add.reduceat(ranked * positive, starts, axis=1), axis=1)
    allowed = weights @ (called & ~target)
    place = (false <= allowed[:, None] + 1e-9).sum(axis=1) - 1
    reached = np.where(place >= 0, true[np.arange(len(true)), np.maximum(place, 0)], 0.0)
    absent = false[:, -1] == 0
    return np.where(absent, np.nan, reached / true[:, -1])


def _mean(values: NDArray[np.float64], sampling: Sampling) -> Estimate:
    """Mean of the readings of some scans, shape (readers, n), NaN where there is none."""
    known = np.isfinite(values)
    total, size = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(float)
    n = int(size.sum())
    if n == 0:
        return Estimate.undefined("no time is known")
    value = float(total.sum() / n)
    replicates = sampling.distribution(lambda weights: (weights @ total) / (weights @ size))
    interval = sampling.percentile(replicates, value)
    method = "patient bootstrap, percentile"
    if interval is None:
        return Estimate(value, None, None, n, method, "the times do not vary, or are too few")
    return Estimate(value, *interval, n, method)


def _correct(records: list[dict[str, Any]]) -> None:
    """Fill in Holm's correction over the McNemar tests, and make the tests JSON-able."""
    places = [
        (record["versus_model"], name)
        for record in records
        if record["versus_model"] is not None
        for name in ("sensitivity", "specificity")
    ]
    tests = corrected([versus[name] for versus, name in places])
    for (versus, name), test in zip(places, tests, strict=True):
        versus[name] = test.to_dict()
