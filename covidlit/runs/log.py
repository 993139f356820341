"""What a run says of itself on the console and in its `train.log`."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule

log = logging.getLogger(__name__)

_REASONS = 3


def log_cohort(datamodule: VolumeDataModule) -> None:
    """Log where the scans come from, what the parts hold and what was refused.

    Args:
        datamodule: set up.
    """
    from covidlit.evaluation.predictions import is_synthetic

    table = datamodule.table
    patients = table["patient_id"].nunique()
    kind = "synthetic " if is_synthetic(table) else ""
    log.info(
        "Cohort: %d %sscans of %d patients, from %s.",
        len(table), kind, patients, datamodule.manifest_path.resolve(),
    )  # fmt: skip
    log.info("Prepared scans lie in %s.", datamodule.cache_dir.resolve())
    for line in part_lines(table):
        log.info(line)
    if refused := refused_line(table):
        log.warning("%s", refused)


def part_lines(table: pd.DataFrame) -> list[str]:
    """One line for each part of a split, such as "train: 21 scans (cap 7, covid 6, np 8)".

    Args:
        table: the datamodule's rows: part, class_name, centre, status.
    """
    lines = []
    for part in ("train", "validation", "test"):
        group = table[table["part"] == part]
        if part == "test" and group.empty:
            # Only trials of a sweep have none: a whole run without test scans is refused.
            lines.append("  test: left out, for a sweep must not choose by its scans")
            continue
        counts = group["class_name"].value_counts().sort_index()
        classes = ", ".join(f"{name} {count}" for name, count in counts.items())
        refused = int((group["status"] != "ok").sum())
        centres = ", ".join(sorted(map(str, group["centre"].dropna().unique()))) or "none known"
        lines.append(
            f"  {part}: {len(group)} scans{f' ({classes})' if classes else ''}"
            f"{f', {refused} refused' if refused else ''}; centres: {centres}"
        )
    if left_out := int(table["part"].isna().sum()):
        lines.append(f"  in no part: {left_out} scans")
    return lines


def refused_line(table: pd.DataFrame) -> str:
    """How many scans were refused, with the most frequent reasons; empty where none was.

    Args:
        table: the datamodule's rows: status, reason.
    """
    refused = table[table["status"] != "ok"]
    if refused.empty:
        return ""
    counts = refused["reason"].fillna("no reason given").value_counts()
    reasons = [f"{count} x {str(name).rstrip('.')}" for name, count in counts.items()]
    more = f"; {len(reasons) - _REASONS} more reasons" if len(reasons) > _REASONS else ""
    return (
        f"{len(refused)} of {len(table)} scans were refused and train nothing: "
        f"{'; '.join(reasons[:_REASONS])}{more}. The report lists those of the test part, "
        "prepared.csv in the cache's folder all."
    )


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


def quieten_lightning() -> None:
    """Keep Lightning's tips and its own deprecation notes out of the run's output."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
