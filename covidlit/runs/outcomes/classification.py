"""Classification as the outcome of a run: predictions table, AUC, operating point, report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.cohort.endpoint import TIME
from covidlit.counted import counted
from covidlit.datamodules import VolumeDataModule
from covidlit.errors import TrainingError
from covidlit.evaluation import evaluate, write_metrics, write_predictions, write_report
from covidlit.evaluation.auc import auc_estimate
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.evaluate import as_binary
from covidlit.evaluation.operating_point import operating_points
from covidlit.evaluation.predictions import accepted, read_predictions, validate_predictions
from covidlit.evaluation.row_names import in_unit
from covidlit.evaluation.run_report import published_of
from covidlit.explain.run_gallery import run_gallery
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.outcomes.classification_checks import (
    check_evaluation,
    check_evaluation_settings,
    check_selection,
)
from covidlit.runs.outcomes.classification_report import report_context
from covidlit.runs.outcomes.outcome import Tables, Training
from covidlit.runs.outcomes.predictions import assemble_predictions
from covidlit.runs.outcomes.table_importance import with_importance

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.evaluation import Evaluation
    from covidlit.runs.runner import Runner

log = logging.getLogger(__name__)

PREDICTIONS = "predictions"


class Classification:
    """One of two or more classes for each row, judged by the area under the ROC curve."""

    metric = "AUC"
    mode = "max"
    repeatable = True

    def check_settings(self, config: Mapping[str, Any]) -> None:
        """Check the node `evaluation` by itself, and that there are the figures to stand beside."""
        check_evaluation_settings(config["evaluation"])
        published_of(config)

    def check(self, config: Mapping[str, Any], data: CohortData) -> None:
        """Check the node `evaluation` against the rows that will be evaluated."""
        check_evaluation(config, data)
        if TIME in data.table:
            log.warning(
                "This model has no use for times: whoever has no event counts as negative, however "
                "short the follow-up was. model=cox takes times and censoring."
            )

    def check_selection(self, data: CohortData, metric: str, where: str, instead: str) -> None:
        """An AUC needs a validation part with every class."""
        n_classes = getattr(data, "n_classes", 2)
        check_selection(data, metric, n_classes, where, instead)

    def tables(self, runner: Runner, data: CohortData, parts: Sequence[str], **run: Any) -> Tables:
        """The predictions table (contract 6)."""
        scores = {part: runner.predict(data, part) for part in parts}
        return {
            PREDICTIONS: assemble_predictions(
                data.table, scores, model=runner.name, unit=data.unit, **run
            )
        }

    def write(self, tables: Tables, run_dir: Path) -> None:
        """Write `predictions.parquet`."""
        write_predictions(tables[PREDICTIONS], run_dir / "predictions.parquet")

    def read(self, run_dir: Path) -> Tables:
        """Read `predictions.parquet`."""
        return {PREDICTIONS: read_predictions(run_dir / "predictions.parquet")}

    def keep(self, tables: Tables, runner: Runner, config: Mapping[str, Any]) -> None:
        """Choose the operating point on the validation part, and write it into the model."""
        table = as_binary(validate_predictions(tables[PREDICTIONS]))[0]
        points = operating_points(table, config["evaluation"]["operating_point"])
        if len(points) == 1:
            runner.keep(operating_point=float(next(iter(points.values())).threshold))

    def value(self, tables: Tables) -> float:
        """The AUC of the scored rows of the validation part."""
        auc = _auc(tables, "validation")
        if auc.value is None:
            raise TrainingError(
                f"the AUC on the validation part is undefined: {auc.reason}.",
                fix="choose a split whose validation part has every class.",
            )
        return auc.value

    def test_value(self, tables: Tables) -> float | None:
        """The AUC of the scored rows of the test part."""
        return _auc(tables, "test").value

    def report(
        self,
        tables: Tables,
        run_dir: Path,
        *,
        config: dict[str, Any],
        trainings: Sequence[Training],
    ) -> None:
        """Write `metrics.json` and `report.html`, and say where."""
        predictions = tables[PREDICTIONS]
        evaluation = evaluate(predictions, seed=config["seed"], **config["evaluation"])
        write_metrics(evaluation, run_dir)  # the numbers are kept, whatever fails from here on
        context = report_context(run_dir, config, trainings)
        write_metrics(evaluation, run_dir, context)
        pictures, note = _gallery(config, trainings, evaluation.table)
        context = replace(context, gallery=pictures, gallery_note=note)
        context = with_importance(context, config, trainings, run_dir)
        path = write_report(predictions, run_dir, context=context, evaluation=evaluation)
        _log_result(evaluation, path, synthetic=bool(context.synthetic), unit=context.unit)


def _auc(tables: Tables, part: str) -> Estimate:
    table = accepted(as_binary(validate_predictions(tables[PREDICTIONS]))[0])
    table = table[table["part"] == part]
    return auc_estimate(table["target"].to_numpy(), table["score"].to_numpy(float))


def _gallery(
    config: Mapping[str, Any], trainings: Sequence[Training], table: pd.DataFrame
) -> tuple[list[tuple[str, bytes]], str]:
    """Heatmaps of typical and misdiagnosed test scans; none of the folds of a cross-validation."""
    runner, data = trainings[0].runner, trainings[0].data
    wanted = config.get("heatmaps", True) and not config["trainer"].get("fast_dev_run")
    if not wanted or len(trainings) > 1 or not isinstance(runner, LightningRunner):
        return [], ""

    if not isinstance(data, VolumeDataModule):
        return [], ""
    return run_gallery(runner.task, data, table, runner.judged)


def _log_result(evaluation: Evaluation, path: Path, *, synthetic: bool, unit: str) -> None:
    auc = evaluation.estimate("auc")
    if auc.value is not None and auc.low is not None:
        level = 100 * evaluation.metrics["settings"]["confidence"]
        label = "Synthetic data. " if synthetic else ""
        folds = "auc_pooled" in evaluation.metrics["parts"]["test"]
        name = "Test AUC, mean of the folds," if folds else "Test AUC"
        interval = f"{level:g}% CI {auc.low:.3f} to {auc.high:.3f}"
        log.info(f"{label}{name} {auc.value:.3f} ({interval}), {counted(auc.n, unit)}.")
    for caution in evaluation.metrics["cautions"]:
        if caution["code"] == "no_spread":
            log.warning("%s", in_unit(caution["text"], unit))
    log.info("Report: %s", path.resolve())
