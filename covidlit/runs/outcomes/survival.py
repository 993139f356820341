"""Survival as the outcome of a run: risks of patients, concordance, horizons, report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from covidlit.cohort.endpoint import TIME
from covidlit.counted import counted
from covidlit.errors import ConfigError, TrainingError
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.evaluation.survival.concordance import concordance
from covidlit.evaluation.survival.evaluate import evaluate_survival, scored_rows
from covidlit.evaluation.survival.part import NO_PAIR
from covidlit.evaluation.survival.report import write_survival_report
from covidlit.evaluation.survival.tables import (
    SURVIVAL,
    coefficients_in,
    read_survival,
    survival_table,
    write_survival,
)
from covidlit.runs.outcomes.classification_report import report_context
from covidlit.runs.outcomes.outcome import Tables, Training
from covidlit.runs.outcomes.plain_settings import BOOTSTRAP, check_plain_settings

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.runs.runner import Runner

log = logging.getLogger(__name__)


class Survival:
    """Time to an event with censoring, judged by Harrell's concordance."""

    metric = "concordance"
    mode = "max"

    def check_settings(self, config: Mapping[str, Any]) -> None:
        """Check the node `evaluation` by itself."""
        check_plain_settings(config, "a survival run")

    def check(self, config: Mapping[str, Any], data: CohortData) -> None:
        """There must be times, and a patient to test on."""
        if TIME not in data.table:
            raise ConfigError(
                "the rows have no times.", where="label_rule", fix="use label_rule=endpoint."
            )
        if len(data.rows_of("test")) == 0:
            raise ConfigError(
                f"no {data.unit} of the test part can be used.",
                where="split",
                fix="choose a split with a test part: split=k_fold.",
            )

    def check_selection(self, data: CohortData, metric: str, where: str, instead: str) -> None:
        """A concordance needs two patients of the validation part that can be compared."""
        rows = data.rows_of("validation")
        time, event = rows[TIME].to_numpy(float), rows["target"].to_numpy(np.int64)
        if len(rows) and np.isfinite(concordance(time, event, time)):
            return
        raise ConfigError(
            f"{metric} is undefined on the validation part: {NO_PAIR}.",
            where=where,
            fix=f"give more patients or a larger split.validation_fraction, or {instead}.",
        )

    def tables(self, runner: Runner, data: CohortData, parts: Sequence[str], **run: Any) -> Tables:
        """The table `survival`: risks, times and events of patients."""
        risks = {part: runner.predict(data, part) for part in parts}
        own = {"model": runner.name, **run}
        return {SURVIVAL: survival_table(data.table, risks, unit=data.unit, **own)}

    def write(self, tables: Tables, run_dir: Path) -> None:
        """Write `survival.parquet`."""
        write_survival(tables[SURVIVAL], run_dir)

    def read(self, run_dir: Path) -> Tables:
        """Read `survival.parquet`."""
        return {SURVIVAL: read_survival(run_dir)}

    def keep(self, tables: Tables, runner: Runner, config: Mapping[str, Any]) -> None:
        """Nothing: risks are kept as they are."""

    def value(self, tables: Tables) -> float:
        """Harrell's concordance on the validation part."""
        found = _concordance(tables, "validation")
        if found is None:
            raise TrainingError(
                f"the concordance on the validation part is undefined: {NO_PAIR}.",
                fix="choose a split whose validation part has patients with the event.",
            )
        return found

    def test_value(self, tables: Tables) -> float | None:
        """Harrell's concordance on the test part."""
        return _concordance(tables, "test")

    def report(
        self,
        tables: Tables,
        run_dir: Path,
        *,
        config: dict[str, Any],
        trainings: Sequence[Training],
    ) -> None:
        """Write `metrics.json` and `report.html`, and say where."""
        settings = {name: config["evaluation"][name] for name in BOOTSTRAP
                    if name in config["evaluation"]}  # fmt: skip
        evaluation = evaluate_survival(tables[SURVIVAL], seed=config["seed"], **settings)
        context = report_context(run_dir, config, trainings, _by_part(trainings))
        path = write_survival_report(evaluation, run_dir, context, coefficients_in(run_dir))
        test = evaluation.metrics["parts"]["test"]
        log.info(
            "%sTest concordance %s; %s, %s.",
            "Synthetic data. " if context.synthetic else "",
            format_estimate(Estimate.from_dict(test["concordance"])),
            counted(test["n_rows"], "patient"),
            counted(test["n_events"], "event"),
        )
        for caution in evaluation.metrics["cautions"]:
            log.warning("%s", caution["text"])
        log.info("Report: %s", path.resolve())


def _concordance(tables: Tables, part: str) -> float | None:
    table = tables[SURVIVAL]
    rows = scored_rows(table[table["part"] == part])
    if len(rows) == 0:
        return None
    time, event = rows[TIME].to_numpy(float), rows["event"].to_numpy(np.int64)
    found = float(concordance(time, event, rows["risk_score"].to_numpy(float)))
    return found if np.isfinite(found) else None


def _by_part(trainings: Sequence[Training]) -> pd.DataFrame:
    """One row per part, of several folds one per fold and part."""
    found = []
    for number, training in enumerate(trainings):
        table = training.data.table
        for part in ("train", "validation", "test"):
            own = table[table["part"] == part]
            if own.empty:
                continue
            ok = own[own["status"] == "ok"]
            found.append(
                {
                    "part": part if len(trainings) == 1 else f"fold {number}, {part}",
                    "patients": own["patient_id"].nunique(),
                    "events": int(ok["target"].eq(1).sum()),
                    "censored": int(ok["target"].eq(0).sum()),
                    "median days": round(float(ok[TIME].median()), 1) if len(ok) else None,
                }
            )
    return pd.DataFrame(found)
