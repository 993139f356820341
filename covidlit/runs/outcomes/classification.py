"""From the scores of a run to its predictions table and its report."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.files import fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule
    from covidlit.evaluation import ReportContext
    from covidlit.runs.runner import Runner

log = logging.getLogger(__name__)

PACKAGES = (
    "covidlit", "torch", "pytorch-lightning", "torchio", "monai", "scikit-learn", "pydicom",
    "SimpleITK",
)  # fmt: skip
LEFT_OUT = ("path", "study_uid", "series_uid", "acquisition_date", "key", "pixel_hash")
"""Columns of the datamodule's table that say nothing about a prediction."""


def assemble_predictions(
    table: pd.DataFrame,
    scores: dict[str, pd.DataFrame],
    *,
    run_id: str,
    model: str,
    seed: int,
    fold: int | None,
) -> pd.DataFrame:
    """The predictions table (contract 6) of one run.

    Args:
        table: the datamodule's rows, with `part`, `status`, `reason`, `target`.
        scores: for each part, what the runner's `predict` returned.

    Returns:
        One row per scan of these parts; refused scans keep theirs, with a null score.
    """
    import pandas as pd

    rows = table[table["part"].isin(list(scores))]
    rows = rows.drop(columns=[name for name in LEFT_OUT if name in rows])
    rows = rows.assign(scan_id=rows["scan_id"].astype("string"))
    scored = pd.concat(list(scores.values()), ignore_index=True)
    joined = rows.merge(scored, on="scan_id", how="left", validate="1:1")
    facts = {"run_id": run_id, "model": model, "seed": seed, "fold": fold}
    return joined.assign(**facts)[[*facts, *joined.columns]]


def report(
    predictions: pd.DataFrame,
    run_dir: Path,
    *,
    config: dict[str, Any],
    datamodule: VolumeDataModule,
    runner: Runner,
) -> float | None:
    """Write `report.html` and `metrics.json`, say where, and return the validation AUC."""
    from covidlit.evaluation import evaluate, write_report

    evaluation = evaluate(predictions, seed=config["seed"], **config["evaluation"])
    gallery: list[tuple[str, bytes]] = []
    note = ""
    if config.get("heatmaps", True) and not config["trainer"].get("fast_dev_run"):
        gallery, note = runner.gallery(datamodule, evaluation.table)
    context = replace(
        _context(run_dir, config, datamodule, runner), gallery=gallery, gallery_note=note
    )
    path = write_report(predictions, run_dir, context=context, evaluation=evaluation)
    points = evaluation.metrics["operating_points"]
    if len(points) == 1:
        runner.keep_operating_point(float(points[0]["threshold"]))
    auc = evaluation.estimate("auc")
    if auc.value is not None and auc.low is not None:
        level = 100 * evaluation.metrics["settings"]["confidence"]
        label = "Synthetic data. " if context.synthetic else ""
        log.info(
            f"{label}Test AUC {auc.value:.3f} ({level:g}% CI {auc.low:.3f} to {auc.high:.3f}), "
            f"{auc.n} scans."
        )
    for caution in evaluation.metrics["cautions"]:
        if caution["code"] == "no_spread":
            log.warning("%s", caution["text"])
    log.info("Report: %s", path.resolve())
    if "validation" not in evaluation.metrics["parts"]:
        return None
    return evaluation.estimate("auc", "validation").value


def _command() -> str:
    """The command line of this process, as a user would write it."""
    program = Path(sys.argv[0])
    own = program.parent.name == "cli"  # of `covidlit train`, see covidlit.cli.app
    start = ["covidlit", "train"] if own else ["python", program.name]
    return shlex.join([*start, *sys.argv[1:]])


def _context(
    run_dir: Path, config: dict[str, Any], datamodule: VolumeDataModule, runner: Runner
) -> ReportContext:
    import yaml

    from covidlit.cohort.describe import show_table1, table1, table2
    from covidlit.cohort.sources import flow_of
    from covidlit.cohort.summary import split_summary
    from covidlit.evaluation import ReportContext

    table = datamodule.table
    flow, flow_note = flow_of(datamodule.manifest_path)
    return ReportContext(
        title=config["name"],
        run_id=run_dir.name,
        command=_command(),
        config=yaml.safe_dump(config, sort_keys=False),
        config_hash=fingerprint(config),
        split_hash=datamodule.split.hash,
        split_summary=split_summary(table),
        centres=sorted(map(str, table["centre"].dropna().unique())),
        disjointness=(
            "No patient, no series and no image (hash of its voxels) stands in two parts; "
            "this was checked when the run started, which would have stopped it.",
        ),
        flow=flow,
        notes=[flow_note] if flow_note else [],
        tables={
            "Table 1. The cohort by centre": show_table1(table1(table)).rename_axis(
                "characteristic"
            ),
            "Table 2. Classes, RT-PCR and aetiology by part": table2(table, datamodule.split),
        },
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        },
        seed=config["seed"],
        training_curve=_training_curve(run_dir),
        model=runner.describe(),
        training={
            **runner.training_facts(config),
            "input (z, y, x)": f"{config['data']['geometry']['size']} voxels of "
            f"{config['data']['geometry']['spacing']} mm",
        },
        selected_on=runner.selected_on,
        cut_short=runner.cut_short,
        synthetic=bool(table["synthetic"].fillna(False).any()) if "synthetic" in table else None,
    )


def _training_curve(run_dir: Path) -> pd.DataFrame | None:
    """The logged metrics, one row per epoch, or None where nothing was logged."""
    import pandas as pd

    path = run_dir / "logs" / "metrics.csv"
    if not path.is_file():
        return None
    logged = pd.read_csv(path)
    return logged.groupby("epoch", as_index=False).last().drop(columns="step", errors="ignore")
