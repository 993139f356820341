"""One self-contained `report.html` and `metrics.json` of a segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.evaluation.estimate import Estimate, format_estimate, format_level
from covidlit.evaluation.figures import training_figure
from covidlit.evaluation.report import page_template
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.segmentation.evaluate import SegmentationEvaluation
from covidlit.evaluation.segmentation.figures import dice_figure, froc_figure, volume_figure
from covidlit.files import write_json, write_text

METRICS, REPORT = "metrics.json", "report.html"


def write_segmentation_report(
    evaluation: SegmentationEvaluation, out_dir: str | Path, context: ReportContext | None = None
) -> Path:
    """Write `metrics.json` and `report.html`, atomically; returns the page's path.

    The numbers are written before anything is drawn, so that they are there whatever fails then.

    Args:
        evaluation: the statistics.
        out_dir: folder, made if needed.
        context: what the run knows beyond the tables; its gallery is that of slices.

    Raises:
        CovidlitError: the folder cannot be written.
    """
    context = context or ReportContext()
    metrics = with_record(evaluation.metrics, context)
    write_json(Path(out_dir) / METRICS, metrics)
    page = render_segmentation_report(SegmentationEvaluation(metrics, evaluation.by_slice), context)
    return write_text(Path(out_dir) / REPORT, page)


def with_record(metrics: Mapping[str, Any], context: ReportContext) -> dict[str, Any]:
    """The metrics with what only the run knows."""
    synthetic = metrics["synthetic"] if context.synthetic is None else context.synthetic
    cautions = list(metrics["cautions"])
    if synthetic:
        text = "The images are synthetic: no number here says anything about patients."
        cautions.insert(0, {"code": "synthetic", "text": text})
    if context.cut_short:
        text = f"{context.cut_short} These are not the results of a whole training."
        cautions.insert(0, {"code": "cut_short", "text": text})
    if context.selected_on == "last epoch":
        text = "No checkpoint was selected: the last epoch's weights were used."
        cautions.append({"code": "last_epoch", "text": text})
    record = {
        name: getattr(context, name)
        for name in ("config_hash", "split_hash", "command", "selected_on", "cut_short")
    }
    facts = {name: dict(getattr(context, name)) for name in ("model", "training", "versions")}
    return {
        **metrics, "synthetic": synthetic, "cautions": cautions, "record": {**record, **facts},
    }  # fmt: skip


def render_segmentation_report(evaluation: SegmentationEvaluation, context: ReportContext) -> str:
    """The page as HTML text; everything it needs is inside."""
    metrics, by_slice = evaluation.metrics, evaluation.by_slice
    test, synthetic = metrics["parts"]["test"], bool(metrics["synthetic"])
    confidence = metrics["settings"]["confidence"]
    volumes, unit = _volumes(by_slice)
    drawn: dict[str, str | None] = {
        "froc": froc_figure(test, confidence, synthetic),
        "dice": dice_figure(test, synthetic),
        "volume": volume_figure(
            volumes["true"].to_numpy(float), volumes["predicted"].to_numpy(float), unit, synthetic
        ),
    }
    if context.training_curve is not None:
        terms = [name for name in context.training_curve if "_loss_" in str(name)]
        drawn["training"] = training_figure(context.training_curve.drop(columns=terms), synthetic)
    return page_template("segmentation.html.j2", "covidlit.evaluation.segmentation").render(
        context=context,
        metrics=metrics,
        test=test,
        validation=metrics["parts"].get("validation"),
        figures=drawn,
        synthetic=synthetic,
        level=format_level(confidence),
        overlap=_overlap_table(metrics["parts"]),
        measures=_measures(metrics["parts"]),
        shown=_shown,
    )


def _volumes(by_slice: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """True and predicted volume of the lesions of each scan of the test part; and the unit."""
    size = (
        by_slice["voxel_ml"] if "voxel_ml" in by_slice else pd.Series(float("nan"), by_slice.index)
    )
    known = bool(size.notna().all())
    factor = size if known else 1.0
    table = pd.DataFrame(
        {
            "scan_id": by_slice["scan_id"],
            "true": by_slice["true_pixels"] * factor,
            "predicted": by_slice["predicted_pixels"] * factor,
        }
    )
    return table.groupby("scan_id", as_index=False).sum(), "mL" if known else "pixels"


def _shown(record: Mapping[str, Any], percent: bool = False, digits: int = 3) -> str:
    return format_estimate(Estimate.from_dict(record), digits, percent=percent)


def _overlap_table(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of classes, of the test part and the validation part."""
    rows: list[dict[str, Any]] = []
    for part in ("test", "validation"):
        for name, own in parts.get(part, {}).get("overlap", {}).items():
            if own["dice"]["value"] is None and own["iou"]["value"] is None:
                continue
            rows.append({"part": part, "name": name.replace("_", " "), **own})
    return rows


def _measures(parts: Mapping[str, Any]) -> list[tuple[str, str, Sequence[str]]]:
    """Name, key of the definition, and values in the test and the validation part."""
    shown = [name for name in ("test", "validation") if name in parts]
    found: list[tuple[str, str, Sequence[str]]] = []

    def add(name: str, key: str, path: tuple[str, ...], percent: bool = False) -> None:
        values = []
        for part in shown:
            record: Any = parts[part]
            for step in path:
                record = record[step]
            values.append(_shown(record, percent))
        found.append((name, key, values))

    unit = parts["test"]["surface"]["unit"]
    add("mAP of boxes", "map", ("map", "box"))
    add("mAP of masks", "map", ("map", "mask"))
    add("mAP of boxes at IoU 0.5", "map", ("map", "box_50"))
    add("mAP of masks at IoU 0.5", "map", ("map", "mask_50"))
    add("Lesions found, mean over the rates", "froc", ("froc", "mean"), True)
    add("Lesions found at 1 false positive per slice", "froc", ("froc", "1"), True)
    add(f"Surface distance, mean ({unit})", "surface", ("surface", "mean"))
    add(f"Surface distance, 95th percentile ({unit})", "surface", ("surface", "hd95"))
    for name in parts["test"]["volume"]:
        add(f"Volume of {name}: mean error (mL)", "volume", ("volume", name, "bias_ml"))
        add(f"Volume of {name}: absolute error (mL)", "volume", ("volume", name, "absolute_ml"))
        add(f"Volume of {name}: by true volume", "volume", ("volume", name, "relative"), True)
    add("Slices called right", "slice_accuracy", ("slices", "accuracy"), True)
    add("Slices with a lesion detected", "slice_accuracy", ("slices", "sensitivity"), True)
    add("Slices without one left alone", "slice_accuracy", ("slices", "specificity"), True)
    add("Slices that agree", "slice_agreement", ("slices", "agreement"), True)
    add(
        "Slices without lesion: false positives per slice", "without_lesion",
        ("without_lesion", "false_positives"),
    )  # fmt: skip
    add(
        "Slices without lesion: called lesion, of the lung", "without_lesion",
        ("without_lesion", "called_lesion"), True,
    )  # fmt: skip
    return found
