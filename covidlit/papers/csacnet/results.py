"""The results of the CSAC-Net paper, made again from predictions tables of any cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.cautions import cautions
from covidlit.evaluation.part import score_spread
from covidlit.evaluation.predictions import accepted, is_synthetic
from covidlit.evaluation.runs import skipped_note
from covidlit.evaluation.settings import check_settings
from covidlit.evaluation.subgroups import MISSING
from covidlit.evaluation.thresholds import threshold_table
from covidlit.papers.csacnet.cases import typical_and_misdiagnosed
from covidlit.papers.csacnet.cohort import cohort_tables
from covidlit.papers.csacnet.contrasts import contrasts
from covidlit.papers.csacnet.published_numbers import published
from covidlit.papers.csacnet.reader_study import reader_study
from covidlit.papers.csacnet.rtpcr import by_initial_result, correct_over_methods
from covidlit.papers.csacnet.subsets import Subsets, initial_result
from covidlit.papers.methods import Method, as_method

FORMAT = 2
"""Number of the layout of `paper.json`; raised when a key changes its meaning.

1: `auc` pooled the scores of all folds; 2: it is the mean of the folds' AUCs.
"""


@dataclass(frozen=True)
class Paper:
    """All results of a page.

    Attributes:
        results: JSON-able; every number of ours with its interval, n and method, every published
            one as the text that was printed.
        methods: the methods, the one that the paper's tables are made for first.
        subsets: the classes of the paper's subsets.
    """

    results: dict[str, Any]
    methods: tuple[Method, ...]
    subsets: Subsets

    def to_dict(self) -> dict[str, Any]:
        """The content of `paper.json`: no NaN, null with a reason instead."""
        return self.results

    def cases(self, k: int = 2) -> pd.DataFrame:
        """The scans of Figures 3 and 4, see `typical_and_misdiagnosed`."""
        return typical_and_misdiagnosed(self.methods[0].table, k, self.subsets)


def paper(
    predictions: Mapping[str, pd.DataFrame] | pd.DataFrame,
    *,
    operating_point: str | float = "auto",
    subsets: Subsets | None = None,
    reader_cut: float | None = None,
    n_cases: int = 2,
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    skipped: Sequence[str] = (),
) -> Paper:
    """Make Figure 2, Table 3 and the choice of scans for Figures 3 and 4 again.

    Input that has no answer (one class, ties everywhere, no score, an empty subgroup) gives a
    statement in the place of the number, not an error.

    Args:
        predictions: tables of contract 6 with a test part, by the method's name, or one table. The
            first is the method of Figure 2 left and Table 3; all are in Figure 2 right. Several
            seeds of one model in a table are averaged.
        operating_point: how to choose each threshold, see `covidlit.evaluation.evaluate`.
        subsets: the classes of the paper's subsets S1, S2 and S3.
        reader_cut: the lowest grade of a graded reader that counts as positive.
        n_cases: scans of each kind for Figures 3 and 4.
        n_bootstrap: replicates of the patient bootstrap.
        seed: seed of the bootstrap.
        confidence: level of every interval.
        skipped: folders that were given but hold no finished run, for the cautions.

    Raises:
        PredictionsError: there is no table, one breaks its contract, holds several runs that are
            not folds or has no row of the test part, or a setting cannot be applied.
    """
    check_settings(operating_point=operating_point, n_bootstrap=n_bootstrap, confidence=confidence)
    tables = {"the model": predictions} if isinstance(predictions, pd.DataFrame) else predictions
    if not tables:
        raise PredictionsError("there is no predictions table.", where="paper")
    subsets = subsets or Subsets()

    def sampling_of(rows: pd.DataFrame) -> Sampling:
        return Sampling.of(rows, confidence=confidence, n_bootstrap=n_bootstrap, seed=seed)

    methods = tuple(
        as_method(name, table, operating_point, sampling_of) for name, table in tables.items()
    )
    first = methods[0]
    test = first.test
    left = contrasts(first, subsets)
    late = (initial_result(test) == "negative").fillna(False).to_numpy(bool)
    right = [by_initial_result(method) for method in methods]
    correct_over_methods(right)
    synthetic = [is_synthetic(method.table) for method in methods]
    found = typical_and_misdiagnosed(first.table, n_cases, subsets)
    results: dict[str, Any] = {
        "format": FORMAT,
        "synthetic": True if any(synthetic) else synthetic[0],
        "settings": {
            "operating_point": operating_point,
            "classes": {"S1": subsets.s1, "S2": subsets.s2, "S3": subsets.s3},
            "reader_cut": reader_cut,
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "confidence": confidence,
        },
        "methods": [_described(method, first) for method in methods],
        "cohort": cohort_tables(first.table),
        "subset_remarks": subsets.remarks(test),
        "figure2_left": left,
        "figure2_right": right,
        "table3": {
            "thresholds": threshold_table(
                test["target"].to_numpy(bool),
                test["score"].to_numpy(float),
                sampling_of(test),
                late if "rtpcr_initial" in test.columns else None,
            ),
            **reader_study(first, reader_cut),
        },
        "cases": found.astype(object).where(found.notna(), None).to_dict("records"),
        "published": published().model_dump(mode="json"),
    }
    results["cautions"] = _cautions(results, first)
    if note := skipped_note(skipped):
        results["cautions"].append(note)
    return Paper(results, methods, subsets)


def _described(method: Method, first: Method) -> dict[str, Any]:
    """A method and what is special about it, JSON-able."""
    test = method.table[method.table["part"] == "test"]
    remarks = list(method.remarks)
    others = set(first.table.loc[first.table["part"] == "test", "scan_id"])
    common = len(others & set(test["scan_id"]))
    if common < max(len(others), len(test)):
        remarks.append(
            f"its {len(test)} test scans are not the {len(others)} of {first.name} ({common} in "
            "common): the two cannot be held against each other."
        )
    if method is first and method.seeds:
        remarks.append("heatmaps, where shown, are those of the first run that was given.")
    refused = test.loc[test["status"] != "ok", "reason"].value_counts()
    if len(refused) and len(method.test) == 0:
        remarks.append("every test scan was refused: there is no number.")
    return {
        "name": method.name,
        "run_ids": sorted(str(name) for name in method.table["run_id"].dropna().unique()),
        "cross_validated": method.sampling_of(method.test).cross_validated,
        "n_test": len(test),
        "n_scored": len(method.test),
        "refused": {str(reason): int(n) for reason, n in refused.items()},
        "operating_points": [
            point.to_dict() | {"sentence": point.sentence()} for point in method.points.values()
        ],
        "remarks": remarks,
    }


def _cautions(results: dict[str, Any], first: Method) -> list[dict[str, str]]:
    """The cautions of the evaluation report, which apply here too."""
    test, overall = first.test, results["figure2_left"][0]
    centres = test["centre"].astype("string").fillna(MISSING).value_counts()
    sampling = first.sampling_of(test)
    described = results["methods"][0]
    parts: dict[str, Any] = {
        "test": {
            "n_positive": overall["n_positive"],
            "n_negative": overall["n_negative"],
            "auc": overall["auc"],
            "by_centre": {str(name): int(n) for name, n in centres.items()},
            "several_scans_per_patient": sampling.clustered,
            "n_refused": described["n_test"] - described["n_scored"],
            "n_scans": described["n_test"],
            "n_patients": sampling.n_patients,
            **_spread(test),
        }
    }
    validation = accepted(first.table[first.table["part"] == "validation"])
    if len(validation):
        parts["validation"] = {"auc": {"value": None}, **_spread(validation)}
    folds = sorted(int(fold) for fold in first.table["fold"].dropna().unique())
    return cautions(
        {
            "parts": parts,
            "synthetic": results["synthetic"],
            "operating_points": described["operating_points"],
            "run": {"folds": folds},
        }
    )


def _spread(scored: pd.DataFrame) -> dict[str, Any]:
    score = scored["score"].to_numpy(float)
    return {"n_scored": len(score), "score_spread": score_spread(score) if len(score) else None}
