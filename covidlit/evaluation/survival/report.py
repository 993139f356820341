"""One self-contained `report.html` and `metrics.json` of a survival run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.risk_groups import risk_group_names
from covidlit.evaluation.estimate import Estimate, format_estimate, format_level
from covidlit.evaluation.report import page_template
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.survival.evaluate import SurvivalEvaluation
from covidlit.evaluation.survival.figures import (
    auc_figure,
    calibration_figure,
    kaplan_meier_figure,
)
from covidlit.files import write_json, write_text

METRICS, REPORT = "metrics.json", "report.html"


def write_survival_report(
    evaluation: SurvivalEvaluation,
    out_dir: str | Path,
    context: ReportContext | None = None,
    coefficients: pd.DataFrame | None = None,
) -> Path:
    """Write `metrics.json` and `report.html`, atomically; returns the page's path.

    Args:
        evaluation: the statistics.
        out_dir: folder, made if needed.
        context: what the run knows beyond the table.
        coefficients: of the model, with the check of proportional hazards, perhaps of several
            folds (column `fold`).

    Raises:
        CovidlitError: the folder cannot be written.
    """
    context = context or ReportContext()
    metrics = with_record(evaluation.metrics, context)
    write_json(Path(out_dir) / METRICS, metrics)
    evaluation = SurvivalEvaluation(metrics, evaluation.test)
    return write_text(
        Path(out_dir) / REPORT, render_survival_report(evaluation, context, coefficients)
    )


def with_record(metrics: Mapping[str, Any], context: ReportContext) -> dict[str, Any]:
    """The metrics with what only the run knows."""
    synthetic = metrics["synthetic"] if context.synthetic is None else context.synthetic
    cautions = list(metrics["cautions"])
    if metrics["parts"]["test"]["competing"] is None:
        text = (
            "No competing event is named (label_rule.competing): whoever has no event counts as "
            "followed up to the last news, as if it could still come. Where another event rules it "
            "out (a discharge alive, where death in hospital is the event), name it."
        )
        cautions.append({"code": "no_competing_named", "text": text})
    if told := context.training.get("to consider"):
        cautions.append({"code": "model", "text": f"The model: {told}."})
    if synthetic:
        text = "The patients are synthetic: no number here says anything about patients."
        cautions.insert(0, {"code": "synthetic", "text": text})
    record = {name: getattr(context, name) for name in ("config_hash", "split_hash", "command")}
    facts = {name: dict(getattr(context, name)) for name in ("model", "training", "versions")}
    return {
        **metrics, "synthetic": synthetic, "cautions": cautions, "record": {**record, **facts},
    }  # fmt: skip


def render_survival_report(
    evaluation: SurvivalEvaluation,
    context: ReportContext,
    coefficients: pd.DataFrame | None = None,
) -> str:
    """The page as HTML text; everything it needs is inside."""
    metrics, rows = evaluation.metrics, evaluation.test
    test = {"folds": [], "concordance_pooled": None, **metrics["parts"]["test"]}
    synthetic = bool(metrics["synthetic"])
    confidence = metrics["settings"]["confidence"]
    highest = max(group["group"] for group in test["risk_groups"])
    return page_template("survival.html.j2", "covidlit.evaluation.survival").render(
        context=context,
        metrics=metrics,
        test=test,
        validation=metrics["parts"].get("validation"),
        names=risk_group_names(highest + 1),
        figures={
            "survival": kaplan_meier_figure(rows, test, confidence, synthetic),
            "auc": auc_figure(test, confidence, synthetic),
            "horizons": calibration_figure(test, synthetic),
        },
        synthetic=synthetic,
        level=format_level(confidence),
        coefficients=_coefficient_rows(coefficients),
        several=coefficients is not None and "fold" in coefficients,
        shown=_shown,
        number=_number,
    )


def _coefficient_rows(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Rows of the page: one model's, or medians and ranges over the folds' models."""
    if table is None or table.empty:
        return []
    found = []
    for name, own in table.groupby("feature", sort=False):
        ratio = own["hazard_ratio"]
        one = own.iloc[0]
        against = int((own["ph_p_holm"] < 0.05).sum())
        found.append(
            {
                "name": name,
                "description": one["description"],
                "ratio": float(ratio.median()),
                "low": one["hazard_ratio_low"] if len(own) == 1 else ratio.min(),
                "high": one["hazard_ratio_high"] if len(own) == 1 else ratio.max(),
                "p": one["p_value"],
                "ph": float(own["ph_p_value"].median()),
                "ph_holm": float(own["ph_p_holm"].median()),
                "against": f"{against} of {len(own)}",
                "n": len(own),
            }
        )
    return sorted(found, key=lambda row: -abs(row["ratio"] - 1) if row["ratio"] >= 1
                  else -abs(1 / max(row["ratio"], 1e-9) - 1))  # fmt: skip


def _shown(record: Mapping[str, Any] | None, percent: bool = False, digits: int = 3) -> str:
    if record is None:
        return "–"
    return format_estimate(Estimate.from_dict(record), digits, percent=percent)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"
