"""One self-contained `report.html` and `metrics.json` from a predictions table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.evaluation.evaluate import Evaluation, evaluate
from covidlit.files import write_json, write_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ReportContext:
    """What the report says beyond the predictions table; every field may be left out.

    Attributes:
        title: heading of the page.
        run_id: name of the run.
        command: the command line that made the run.
        config: resolved configuration as YAML text.
        config_hash: hash of the resolved configuration.
        split_hash: hash of the split.
        split_summary: one row per part: scans, patients, classes, centres.
        disjointness: sentences saying what was checked for leakage and the result.
        flow: inclusion flow (step, criterion, n_excluded, n_left).
        tables: further tables by title, such as Table 1 and Table 2.
        versions: package versions and hardware by name.
        seed: seed of the run.
        training_curve: one row per epoch: epoch, train_loss, val_auc, ...
        model: facts about the model by name, such as parameters.
        training: facts about the training by name, such as epochs, batch size, hardware.
        selected_on: part that chose the checkpoint: "validation", "last epoch", "test", ...
        synthetic: whether the images are synthetic; None leaves it to the table.
        notes: remarks of the user.
    """

    title: str = "Evaluation report"
    run_id: str | None = None
    command: str | None = None
    config: str | None = None
    config_hash: str | None = None
    split_hash: str | None = None
    split_summary: pd.DataFrame | None = None
    disjointness: Sequence[str] = ()
    flow: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    training_curve: pd.DataFrame | None = None
    model: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    selected_on: str | None = None
    synthetic: bool | None = None
    notes: Sequence[str] = ()


def write_report(
    predictions: pd.DataFrame,
    out_dir: str | Path,
    *,
    context: ReportContext | None = None,
    evaluation: Evaluation | None = None,
) -> Path:
    """Write `report.html` and `metrics.json` into `out_dir`, atomically; returns the page's path.

    Raises:
        PredictionsError: the table cannot be evaluated.
        CovidlitError: the folder cannot be written.
    """
    context = context or ReportContext()
    evaluation = evaluation or evaluate(predictions)
    folder = Path(out_dir)
    write_json(folder / "metrics.json", evaluation.to_dict())
    auc = evaluation.to_dict()["parts"]
    return write_text(
        folder / "report.html",
        f"<!doctype html><meta charset=utf-8><title>{context.title}</title><pre>{auc}</pre>",
    )
