"""`metrics.json`: the statistics with what only the run knows, written first and read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covidlit.errors import PredictionsError
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.evaluate import FORMAT, Evaluation
from covidlit.evaluation.report_context import ReportContext
from covidlit.files import check_own_json, write_json

FILE = "metrics.json"

_POOLED_BEFORE = (
    "the file is of an earlier version, which pooled the scores of the folds; "
    "covidlit evaluate makes it anew"
)


def write_metrics(
    evaluation: Evaluation, out_dir: str | Path, context: ReportContext | None = None
) -> Path:
    """Write `metrics.json` into a folder, atomically; nothing is drawn for it.

    Args:
        evaluation: the statistics.
        out_dir: folder, made if needed.
        context: what the run knows beyond the predictions table.

    Raises:
        CovidlitError: the folder cannot be written.
    """
    metrics = with_context(evaluation.to_dict(), context or ReportContext())
    return write_json(Path(out_dir) / FILE, metrics)


def check_own_metrics(out_dir: str | Path) -> Path:
    """The file's path, if nothing but metrics of covidlit lies there.

    Raises:
        CovidlitError: another file lies there, or the folder cannot be written.
    """
    keys = ("format", "parts", "operating_points")
    return check_own_json(Path(out_dir) / FILE, keys, "covidlit evaluate")


def read_metrics(path: str | Path) -> dict[str, Any]:
    """The content of a `metrics.json` in the present format, whatever version wrote it.

    Raises:
        PredictionsError: the file cannot be read, or a later version wrote it.
    """
    try:
        metrics = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise PredictionsError(
            f"it cannot be read: {problem}.",
            where=path,
            fix="run covidlit evaluate on the run again.",
        ) from problem
    if not isinstance(metrics, dict):
        raise PredictionsError(
            f"it holds {type(metrics).__name__} instead of a mapping.",
            where=path,
            fix="run covidlit evaluate on the run again.",
        )
    return in_present_format(metrics, path)


def in_present_format(metrics: dict[str, Any], where: object = FILE) -> dict[str, Any]:
    """Metrics of any version with the keys that the present one gives them.

    Those of other outcomes, which say their `kind`, have a format of their own.

    Raises:
        PredictionsError: a later version wrote them.
    """
    written = metrics.get("format", 1)
    if not isinstance(written, int) or written > FORMAT:
        raise PredictionsError(
            f"its format is {written!r}, and this version reads up to {FORMAT}.",
            where=where,
            fix="use the version of covidlit that wrote it, or evaluate the run again.",
        )
    parts = metrics.get("parts")
    if written == FORMAT or not isinstance(parts, dict) or "kind" in metrics:
        return metrics
    return metrics | {"parts": {name: _part_of_1(part) for name, part in parts.items()}}


def _part_of_1(part: dict[str, Any]) -> dict[str, Any]:
    """Format 1 called the AUC of all folds' pooled scores `auc`."""
    if len(part.get("folds") or ()) < 2:
        return part
    unknown = Estimate.undefined(_POOLED_BEFORE, part["n_scored"]).to_dict()
    return part | {"auc": unknown, "auc_pooled": part["auc"]}


def with_context(metrics: dict[str, Any], context: ReportContext) -> dict[str, Any]:
    """The metrics with what only the context knows: synthetic, selection, centres, hashes."""
    found = list(metrics["cautions"])
    synthetic = context.synthetic if metrics["synthetic"] is None else metrics["synthetic"]
    synthetic = bool(synthetic or context.synthetic) if synthetic is not None else None
    if synthetic and not metrics["synthetic"]:
        found.insert(
            0,
            {
                "code": "synthetic",
                "text": "The images are synthetic: no number here says anything about patients.",
            },
        )
    if context.selected_on == "test":
        found.insert(
            0,
            {
                "code": "selected_on_test",
                "text": "The checkpoint was selected on the test part: its results are optimistic "
                "and must not be reported as test results.",
            },
        )
    elif context.selected_on == "last epoch":
        text = "No checkpoint was selected: the last epoch's weights were used."
        found.append({"code": "last_epoch", "text": text})
    if context.cut_short:
        text = f"{context.cut_short} These are not the results of a whole training."
        found.insert(0, {"code": "cut_short", "text": text})
    record = {
        "config_hash": context.config_hash,
        "split_hash": context.split_hash,
        "command": context.command,
        "evaluated_by": context.evaluated_by,
        "selected_on": context.selected_on,
        "cut_short": context.cut_short,
        "unit": context.unit,
        "model": dict(context.model),
        "training": dict(context.training),
        "versions": dict(context.versions),
    }
    check = metrics["centre_check"]
    check = check | {"left_out": [*check["left_out"], *_never_scored(check, context.centres)]}
    added = {"synthetic": synthetic, "cautions": found, "centre_check": check, "record": record}
    return metrics | added


def _never_scored(check: dict[str, Any], centres: Sequence[str]) -> list[dict[str, str]]:
    """Centres of the cohort of which the predictions table holds no scan, with the reason."""
    known = {row["centre"] for row in check["left_out"]}
    for stratum in check["strata"]:
        known |= {row["centre"] for row in [*stratum["centres"], *stratum["left_out"]]}
    reason = "no scan in the validation or test part; training scans are not scored"
    return [{"centre": name, "reason": reason} for name in centres if name not in known]
