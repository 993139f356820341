"""What a run says of itself on the console and in its `train.log`."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.counted import counted
from covidlit.datamodules.cohort_data import TO_CHECK
from covidlit.datamodules.row_lines import refused_line
from covidlit.errors import CovidlitError
from covidlit.evaluation.predictions import is_synthetic

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData

log = logging.getLogger(__name__)


def log_cohort(data: CohortData) -> None:
    """Log where the rows come from, what the parts hold and what was refused.

    Args:
        data: set up.
    """
    from covidlit.datamodules import VolumeDataModule

    table, facts = data.table, data.facts()
    patients = table["patient_id"].nunique()
    kind = "synthetic " if is_synthetic(table) else ""
    log.info(
        "Cohort: %s of %s, from %s.",
        counted(len(table), f"{kind}{data.unit}"),
        counted(patients, "patient"),
        facts["source"],
    )
    if "prepared in" in facts:
        log.info("Prepared %ss lie in %s.", data.unit, facts["prepared in"])
    for line in part_lines(table, data.unit):
        log.info(line)
    # The datamodule of volumes has said it, and what was noted of others.
    if not isinstance(data, VolumeDataModule) and (refused := refused_line(table, data.unit)):
        log.warning("%s", refused)
    if TO_CHECK in facts:
        log.warning("Possible leakage: %s", facts[TO_CHECK])


def part_lines(table: pd.DataFrame, unit: str = "scan") -> list[str]:
    """One line for each part of a split, such as "train: 21 scans (cap 7, covid 6, np 8)".

    Args:
        table: the data's rows: part, status; class_name and centre where there are such.
        unit: what a row is.
    """
    lines = []
    for part in ("train", "validation", "test"):
        group = table[table["part"] == part]
        if part == "validation" and group.empty:
            continue  # as the split asks for
        if part == "test" and group.empty:
            # Only trials of a sweep have none: a whole run without test scans is refused.
            lines.append(f"  test: left out, for a sweep must not choose by its {unit}s")
            continue
        classes = ""
        if "class_name" in group:
            counts = group["class_name"].value_counts().sort_index()
            classes = ", ".join(f"{name} {count}" for name, count in counts.items())
        refused = int((group["status"] != "ok").sum())
        known = group["centre"].dropna().unique() if "centre" in group else []
        centres = ", ".join(sorted(map(str, known))) or "none known"
        lines.append(
            f"  {part}: {counted(len(group), unit)}{f' ({classes})' if classes else ''}"
            f"{f', {refused} refused' if refused else ''}; centres: {centres}"
        )
    if left_out := int(table["part"].isna().sum()):
        lines.append(f"  in no part: {counted(left_out, unit)}")
    return lines


@contextmanager
def timed_training(run_dir: Path, *, silent: bool) -> Iterator[None]:
    """Log the start, the end and the time of a training.

    Args:
        run_dir: of the run.
        silent: log nothing, in the further processes of a run.
    """
    if silent:
        yield
        return
    log.info("Training starts; its files lie in %s.", run_dir.resolve())
    start = time.monotonic()
    yield
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    log.info("Training ended after %d min %02d s.", minutes, seconds)


def log_end(error: BaseException) -> None:
    """Write why a run ended early into its log file; the console says it by itself.

    Args:
        error: that ended it.
    """
    stopped = isinstance(error, KeyboardInterrupt)
    known = isinstance(error, CovidlitError | KeyboardInterrupt)
    text = " ".join(str(error).split())
    reason = text if known and text else f"{type(error).__name__}: {text}".rstrip(": ")
    level = logging.WARNING if stopped else logging.ERROR
    record = log.makeRecord(log.name, level, __file__, 0, reason, (), None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def quieten_lightning() -> None:
    """Keep Lightning's tips and its own deprecation notes out of the run's output."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    # Of a validation part that is empty, as the split asks for.
    warnings.filterwarnings("ignore", message=".*across ranks is zero.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Of a run that goes on in its folder; see `keep_logged_metrics`.
    warnings.filterwarnings("ignore", message=".*directory .* exists and is not empty.*")


def keep_logged_metrics(run_dir: Path) -> None:
    """Put the metrics of the finished epochs aside: Lightning's logger begins its file anew."""
    logged = run_dir / "logs" / "metrics.csv"
    if logged.is_file():
        number = len(list(logged.parent.glob("metrics_*.csv")))
        logged.rename(logged.with_name(f"metrics_{number}.csv"))
