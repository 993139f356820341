"""What the other files of a run do not tell: its cohort and its machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.datamodules.tables.table_datamodule import TableDataModule
from covidlit.datamodules.volume_datamodule import VolumeDataModule
from covidlit.files import write_json
from covidlit.runs.cohort_record import cohort_record_of
from covidlit.runs.hardware import hardware_record

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData


def write_run_records(
    config: Mapping[str, Any], data: CohortData | Sequence[CohortData], run_dir: str | Path
) -> None:
    """Write `cohort.json` and `hardware.json`, which the other files of a run do not tell.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        data: set up; several are the folds of a cross-validation.
        run_dir: the run's folder.
    """
    folds = data if isinstance(data, Sequence) else [data]
    scans = [each for each in folds if isinstance(each, VolumeDataModule | TableDataModule)]
    if scans:
        write_json(Path(run_dir) / "cohort.json", cohort_record_of(scans))
    write_json(Path(run_dir) / "hardware.json", hardware_record(config))
