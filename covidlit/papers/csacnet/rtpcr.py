"""Figure 2, right: cases by their first RT-PCR result, each group against all negative scans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.difference import DifferenceTest, bootstrap_test, holm
from covidlit.evaluation.unpaired import auc_difference_common_negatives, fisher_test
from covidlit.papers.csacnet.contrasts import discrimination
from covidlit.papers.csacnet.subsets import initial_result
from covidlit.papers.methods import Method

GROUPS = ("positive", "negative")
"""The first RT-PCR results."""


def by_initial_result(method: Method) -> dict[str, Any]:
    """Initially positive against initially negative cases, JSON-able.

    Both groups are judged at the method's one operating point, so that their sensitivities can be
    compared, and against the same negative scans.

    Returns:
        name; n_unknown, the cases without a first result; groups, one record for each of `GROUPS`
        as from `discrimination`; sensitivity_test and auc_test, initially positive minus initially
        negative, as `DifferenceTest.to_dict()`; statement, why there is no comparison, or None.
    """
    test = method.test
    target = test["target"].to_numpy(bool)
    called = (test["score"] >= test["threshold"]).to_numpy(bool)
    result = initial_result(test)
    member = {name: target & (result == name).fillna(False).to_numpy(bool) for name in GROUPS}
    groups = {}
    for name, cases in member.items():
        rows = cases | ~target
        groups[name] = discrimination(test[rows], called[rows], method.sampling_of)
    n_unknown = int((target & result.isna().to_numpy(bool)).sum())
    sampling = method.sampling_of(test)
    score = test["score"].to_numpy(float)
    positive, negative = member["positive"], member["negative"]
    return {
        "name": method.name,
        "n_unknown": n_unknown,
        "groups": groups,
        "sensitivity_test": sensitivity_test(called, positive, negative, sampling).to_dict(),
        "auc_test": auc_difference_common_negatives(
            target, score, positive, negative, sampling
        ).to_dict(),
        "statement": _statement("rtpcr_initial" in test.columns, member, int(target.sum())),
    }


def correct_over_methods(records: list[dict[str, Any]]) -> None:
    """Fill in Holm's correction of all tests of `by_initial_result` records, over all methods."""
    tests = [record[name] for record in records for name in ("sensitivity_test", "auc_test")]
    for test, value in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
        test["p_holm"] = value


def sensitivity_test(
    called: NDArray[np.bool_],
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    sampling: Sampling,
) -> DifferenceTest:
    """Difference of the sensitivities in two groups of cases.

    Fisher's exact test, or a patient bootstrap where a patient has several of these scans, which
    Fisher's test would take for so many patients.

    Args:
        called: shape (n,), true where a scan is called positive.
        first: shape (n,), the cases of the first group.
        second: shape (n,), the cases of the second group.
        sampling: how the n scans were sampled.
    """
    cases = first | second
    part = sampling.subset(cases)
    counts = [(int((called & group).sum()), int(group.sum())) for group in (first, second)]
    test = fisher_test(*counts[0], *counts[1], sampling.confidence)
    if not part.clustered or test.difference.value is None:
        return test
    hit = called[cases].astype(float)
    one, two = first[cases].astype(float), second[cases].astype(float)

    def difference(weights: Weights) -> NDArray[np.float64]:
        return (weights @ (hit * one)) / (weights @ one) - (weights @ (hit * two)) / (weights @ two)

    return bootstrap_test(test.difference.value, part.distribution(difference), part)


def _statement(
    has_column: bool, member: dict[str, NDArray[np.bool_]], n_positive: int
) -> str | None:
    if not has_column:
        return (
            "The table has no column rtpcr_initial: write the first RT-PCR result, positive or "
            "negative, into the manifest."
        )
    if not n_positive:
        return "There is no scored case in the test part."
    empty = [name for name in GROUPS if not member[name].any()]
    if len(empty) == len(GROUPS):
        return f"None of the {n_positive} scored cases has a first RT-PCR result."
    if empty:
        return f"No scored case has a {empty[0]} first RT-PCR: the groups cannot be compared."
    return None
