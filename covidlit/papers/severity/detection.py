"""Detection of the disease: sensitivity and specificity of each method, the paper's beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.predictions import is_synthetic
from covidlit.evaluation.published_figures import published_figures
from covidlit.evaluation.runs import skipped_note
from covidlit.evaluation.settings import check_settings
from covidlit.papers.csacnet.contrasts import discrimination
from covidlit.papers.methods import Method, as_method

FORMAT = 1
"""Number of the layout of `severity.json`; raised when a key changes its meaning."""

DETECTION = "severity_detection"
"""Name of the paper's figures, see `covidlit.evaluation.published_figures`."""

AS_LEARNT = 0.5
"""The score at which a model of thresholds on factors calls a scan positive, by what it learnt."""


def detection(
    predictions: Mapping[str, pd.DataFrame],
    *,
    operating_point: str | float = "auto",
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    skipped: Sequence[str] = (),
) -> dict[str, Any]:
    """The paper's detection, made again of predictions tables of any cohort.

    Args:
        predictions: tables of contract 6 with a test part, by the method's name.
        operating_point: how to choose each threshold, see `covidlit.evaluation.evaluate`.
        n_bootstrap, seed: of the patient bootstrap.
        confidence: level of every interval.
        skipped: folders that were given but hold no finished run.

    Returns:
        JSON-able: `methods` (each with AUC, sensitivity and specificity at its operating point and
        at a score of 0.5), `published`, `remarks`, `settings`, `synthetic`.

    Raises:
        PredictionsError: there is no table, or one cannot be evaluated.
    """
    check_settings(operating_point=operating_point, n_bootstrap=n_bootstrap, confidence=confidence)
    if not predictions:
        raise PredictionsError("there is no predictions table.", where="paper")

    def sampling_of(rows: pd.DataFrame) -> Sampling:
        return Sampling.of(rows, confidence=confidence, n_bootstrap=n_bootstrap, seed=seed)

    methods = [
        as_method(name, table, operating_point, sampling_of) for name, table in predictions.items()
    ]
    synthetic = [is_synthetic(method.table) for method in methods]
    remarks = [f"{method.name}: {text}" for method in methods for text in method.remarks]
    remarks += _other_scans(methods)
    if note := skipped_note(skipped):
        remarks.append(note["text"])
    return {
        "format": FORMAT,
        "synthetic": True if any(synthetic) else synthetic[0],
        "settings": {
            "operating_point": operating_point,
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "confidence": confidence,
        },
        "methods": [_record(method) for method in methods],
        "remarks": remarks,
        "published": {DETECTION: published_figures(DETECTION).model_dump(mode="json")},
    }


def _record(method: Method) -> dict[str, Any]:
    test, whole = method.test, method.table[method.table["part"] == "test"]
    score = test["score"]
    own = discrimination(test, (score >= test["threshold"]).to_numpy(bool), method.sampling_of)
    half = discrimination(test, (score >= AS_LEARNT).to_numpy(bool), method.sampling_of)
    kept = ("n_positive", "n_negative", "auc", "sensitivity", "specificity", "confusion")
    classes = {
        target: {str(name): int(n) for name, n in rows["class_name"].value_counts().items()}
        for target, rows in test.groupby("target")
    }
    return {
        "name": method.name,
        "run_ids": sorted(str(name) for name in method.table["run_id"].dropna().unique()),
        "n_test": len(whole),
        "n_scored": len(test),
        **{name: own[name] for name in kept},
        "at_half": {name: half[name] for name in ("sensitivity", "specificity", "confusion")},
        "positive": classes.get(1, {}),
        "negative": classes.get(0, {}),
        "operating_points": [
            point.to_dict() | {"sentence": point.sentence()} for point in method.points.values()
        ],
    }


def _other_scans(methods: Sequence[Method]) -> list[str]:
    """Which methods were tested on other scans than the first."""
    first = {*methods[0].table.loc[methods[0].table["part"] == "test", "scan_id"]}
    found = []
    for method in methods[1:]:
        own = {*method.table.loc[method.table["part"] == "test", "scan_id"]}
        if own != first:
            found.append(
                f"{method.name}: its {len(own)} test scans are not the {len(first)} of "
                f"{methods[0].name} ({len(own & first)} in common): the two cannot be held "
                "against each other."
            )
    return found
