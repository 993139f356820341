"""What is measured of an export's scores, against other people's formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from volume_records import volume_record

from covidlit.checkpoints.record import RunRecord
from covidlit.deploy.parity import Labels, check_parity, score_parity
from covidlit.deploy.parity_record import Tolerances
from covidlit.deploy.parity_scans import _patients
from covidlit.deploy.parity_text import interval_text
from covidlit.errors import ExportError, ParityError

RNG = np.random.default_rng(0)
N = 60
TARGET = (np.arange(N) % 3 == 0).astype(float)
SCORES = np.clip(0.3 * TARGET + RNG.uniform(0, 0.7, N), 0, 1)
OTHER = np.clip(SCORES + RNG.normal(0, 0.02, N), 0, 1)
PATIENTS = np.arange(N).astype(str)


def record(classes: list[str] | None = None, point: float | None = 0.4) -> RunRecord:
    config = {
        "data": {"geometry": {"spacing": [1, 1, 1], "size": [8, 8, 8]}, "window": [-1000, 400]},
        "model": {"name": "any"},
        "label_rule": {"classes": classes},
    }
    found = volume_record(config, "abc") | {"operating_point": point}
    return RunRecord.model_validate(found)


def test_differences_calls_and_auc() -> None:
    found = score_parity(SCORES, OTHER, record(), Labels(TARGET, PATIENTS))
    difference = np.abs(SCORES - OTHER)
    assert found.largest == pytest.approx(difference.max())
    assert found.median == pytest.approx(np.median(difference))
    assert found.n_changed_calls == np.sum((SCORES >= 0.4) != (OTHER >= 0.4)) > 0
    assert found.auc == pytest.approx(roc_auc_score(TARGET, SCORES))
    assert found.auc_difference == pytest.approx(
        roc_auc_score(TARGET, OTHER) - roc_auc_score(TARGET, SCORES)
    )
    assert found.auc_low < found.auc_difference < found.auc_high  # type: ignore[operator]


def test_an_unknown_patient_is_nobody_else_whatever_patients_are_called() -> None:
    ids = ["a", "b", "c", "d", "e"]
    known = {"a": "1", "c": "of scan 1", "d": "1"}
    a, b, c, d, e = _patients(ids, known)
    assert a == d
    assert len({a, b, c, e}) == 4


def test_the_operating_point_decides_what_a_call_is() -> None:
    at = Labels(TARGET, PATIENTS)
    assert score_parity([0.2, 0.7], [0.3, 0.7], record(point=0.25), at_first(at)).n_changed_calls
    without = score_parity([0.2, 0.7], [0.3, 0.7], record(point=None), at_first(at))
    assert (without.operating_point, without.n_changed_calls) == (0.5, 0)


def at_first(labels: Labels) -> Labels:
    return Labels(labels.target[:2], labels.patient[:2])


def test_of_several_classes_the_most_probable_one_is_the_call() -> None:
    classes = ["np", "covid", "cap"]
    first = RNG.dirichlet(np.ones(3), N)
    second = np.roll(first, 1, axis=1)
    target = (first[:, 1] + RNG.normal(0, 0.2, N) > 0.4).astype(float)
    found = score_parity(first, second, record(classes), Labels(target, PATIENTS))
    assert (found.operating_point, found.n_changed_calls) == (None, N)
    assert found.auc == pytest.approx(roc_auc_score(target, first[:, 1]))
    assert found.auc + found.auc_difference == pytest.approx(  # type: ignore[operator]
        roc_auc_score(target, second[:, 1])
    )


def test_unknown_classes_are_left_out_and_said() -> None:
    target = TARGET.copy()
    target[:10] = np.nan
    found = score_parity(SCORES, OTHER, record(), Labels(target, PATIENTS))
    assert found.n_labelled == N - 10
    assert found.auc == pytest.approx(roc_auc_score(TARGET[10:], SCORES[10:]))
    one = score_parity(SCORES, OTHER, record(), Labels(np.ones(N), PATIENTS))
    assert (one.auc, one.auc_reason) == (None, "the scans with a known class are all of one class")
    none = score_parity(SCORES, OTHER, record(), Labels(np.full(N, np.nan), PATIENTS, "no reason"))
    assert none.auc_reason == "no reason"


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({"score": 0.01}, r"openvino: a score by .* \(allowed 1e-02\)\. Nothing"),
        ({"auc": 1e-5}, r"the AUC by .* \(allowed 1e-05\)"),
        ({"changed_calls": 1 / 300}, r"\d+ of 60 calls \(allowed 1 in 300\)"),
        ({"changed_calls": 0.0}, r"\d+ of 60 calls \(allowed none\)"),
    ],
)
def test_each_measure_alone_refuses(allowed: dict[str, Any], said: str) -> None:
    found = {"openvino": score_parity(SCORES, OTHER, record(), Labels(TARGET, PATIENTS))}
    wide: dict[str, Any] = {"score": 0.2, "auc": 0.5, "changed_calls": 0.5}
    check_parity(found, Tolerances(**wide), "here")
    with pytest.raises(ExportError, match=said):
        check_parity(found, Tolerances(**wide | allowed), "here")


@pytest.mark.parametrize(
    ("missed", "named"),
    [
        ({"score": 0.01}, "--tolerance"),
        ({"auc": 1e-5}, "--auc-tolerance"),
        ({"changed_calls": 0.0}, "--changed-calls"),
        ({"auc": 1e-5, "changed_calls": 0.0}, "--auc-tolerance and --changed-calls"),
    ],
)
def test_the_fix_names_what_was_missed_and_another_precision_where_there_is_one(
    missed: dict[str, Any], named: str
) -> None:
    found = {"openvino": score_parity(SCORES, OTHER, record(), Labels(TARGET, PATIENTS))}
    allowed = Tolerances(**{"score": 0.2, "auc": 0.5, "changed_calls": 0.5} | missed)
    for precision, instead in (("f32", "--engine torch"), ("bf16", "--precision f32")):
        with pytest.raises(ParityError) as refused:
            check_parity(found, allowed, "here", precision)  # type: ignore[arg-type]
        fix = str(refused.value.fix)
        assert fix.endswith(f"; or allow more with a larger {named}.")
        assert instead in fix
        assert ("--precision" in fix) == (precision != "f32")
        assert refused.value.measured == found


def test_why_an_auc_has_no_interval_is_said() -> None:
    same = score_parity(SCORES, SCORES, record(), Labels(TARGET, PATIENTS))
    other = score_parity(SCORES, OTHER, record(), Labels(TARGET, PATIENTS))
    assert same.auc_low is None
    assert same.auc_reason
    alone = interval_text({"openvino": same})
    assert "95%" not in alone
    assert alone == f"; no interval: {same.auc_reason.rstrip('.')}"
    assert interval_text({"onnx": other}) == " (95% interval)"
    both = interval_text({"onnx": other, "openvino": same})
    assert both.startswith(" (95% interval); no interval for openvino: ")


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ExportError, match="not finite"):
        score_parity(SCORES, np.full(N, np.nan), record(), Labels(TARGET, PATIENTS))
