"""Segmentation as the outcome of a run: slices, detections, objects, Dice of lesions, report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.errors import ConfigError, TrainingError
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.evaluation.segmentation.evaluate import SegmentationEvaluation, evaluate_segmentation
from covidlit.evaluation.segmentation.overlap import (
    LESION,
    count_pixels,
    dice_estimate,
    groups_of,
)
from covidlit.evaluation.segmentation.report import write_segmentation_report
from covidlit.evaluation.segmentation.tables import (
    SLICES,
    read_segmentation_tables,
    split_rows,
    used,
    write_segmentation_tables,
)
from covidlit.runs.outcomes.outcome import Tables, Training
from covidlit.runs.outcomes.plain_settings import BOOTSTRAP, check_plain_settings
from covidlit.runs.outcomes.segmentation_report import example_slices, segmentation_context

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.runs.runner import Runner

log = logging.getLogger(__name__)

_OWN = ("score_threshold", "hit_overlap")


class Segmentation:
    """Lungs and lesions of slices, judged by the Dice of lesions of any class."""

    metric = "lesion Dice"
    mode = "max"

    def check_settings(self, config: Mapping[str, Any]) -> None:
        """Check the node `evaluation` by itself."""
        check_plain_settings(config, "a segmentation", _OWN)
        settings = config["evaluation"]
        for name in _OWN:
            value = settings.get(name, 0.5)
            if not isinstance(value, int | float) or not 0 < value < 1:
                raise ConfigError(
                    f"must lie between 0 and 1, not {value!r}.", where=f"evaluation.{name}"
                )

    def check(self, config: Mapping[str, Any], data: CohortData) -> None:
        """There must be a slice to test on, and the data must be slices."""
        if data.unit != "slice":
            raise ConfigError(
                f"a segmentation learns from slices, and a row of these data is a {data.unit}.",
                where="data",
                fix="give data=slices.",
            )
        if len(data.rows_of("test")) == 0:
            raise ConfigError(
                "no slice of the test part can be used.",
                where="split",
                fix="choose a split with a test part: split=k_fold.",
            )

    def check_selection(self, data: CohortData, metric: str, where: str, instead: str) -> None:
        """A Dice of lesions needs a validation part with a lesion."""
        rows = data.rows_of("validation")
        if len(rows) and (rows["target"].astype(int) == 1).any():
            return
        lacking = "has no slice" if len(rows) == 0 else "has no slice with a lesion"
        raise ConfigError(
            f"{metric} is undefined: the validation part {lacking}.",
            where=where,
            fix="give more patients or a larger split.validation_fraction (each centre and class "
            f"gives its share), or {instead}.",
        )

    def tables(self, runner: Runner, data: CohortData, parts: Sequence[str], **run: Any) -> Tables:
        """`slices`, `detections` and `objects` of the parts."""
        found = [runner.predict(data, part) for part in parts]
        rows = data.table[data.table["part"].isin(list(parts))]
        joined = pd.concat([each for each in found if len(each)], ignore_index=True)
        return split_rows(joined, rows, **{"model": runner.name, **run})

    def write(self, tables: Tables, run_dir: Path) -> None:
        """Write `slices.parquet`, `detections.parquet` and `objects.parquet`."""
        write_segmentation_tables(tables, run_dir)

    def read(self, run_dir: Path) -> Tables:
        """Read what `write` has left."""
        return read_segmentation_tables(run_dir)

    def keep(self, tables: Tables, runner: Runner, config: Mapping[str, Any]) -> None:
        """Nothing: the scores of detections are kept as they are."""

    def value(self, tables: Tables) -> float:
        """The Dice of lesions of any class, of all validation slices' pixels together."""
        slices = tables[SLICES]
        rows = used(slices[slices["part"] == "validation"])
        found = Estimate.undefined("there is no validation slice")
        if len(rows):
            counts = count_pixels(rows, LESION, groups_of(rows)[LESION])
            sampling = Sampling(rows["patient_id"].to_numpy(str), n_bootstrap=1)
            found = dice_estimate(counts, sampling)
        if found.value is None:
            raise TrainingError(
                f"the lesion Dice on the validation part is undefined: {found.reason}.",
                fix="choose a split whose validation part has slices with lesions.",
            )
        return found.value

    def report(
        self,
        tables: Tables,
        run_dir: Path,
        *,
        config: dict[str, Any],
        trainings: Sequence[Training],
    ) -> None:
        """Write `metrics.json` and `report.html`, and say where."""
        given = config["evaluation"]
        settings = {name: given[name] for name in (*BOOTSTRAP, *_OWN) if name in given}
        evaluation = evaluate_segmentation(tables, seed=config["seed"], **settings)
        context = segmentation_context(run_dir, config, trainings)
        pictures, note = example_slices(trainings, evaluation.by_slice)
        context = replace(context, gallery=pictures, gallery_note=note)
        path = write_segmentation_report(evaluation, run_dir, context)
        _log_result(evaluation, path, synthetic=bool(context.synthetic))


def _log_result(evaluation: SegmentationEvaluation, path: Path, *, synthetic: bool) -> None:
    test = evaluation.metrics["parts"]["test"]
    label = "Synthetic data. " if synthetic else ""
    dice = format_estimate(Estimate.from_dict(test["overlap"][LESION]["dice"]))
    found = format_estimate(Estimate.from_dict(test["froc"]["1"]), percent=True)
    log.info(
        "%sTest Dice of lesions %s; lesions found at 1 false positive per slice: %s.",
        label, dice, found,
    )  # fmt: skip
    log.info("Report: %s", path.resolve())
