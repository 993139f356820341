"""What the other files of a run do not tell: its cohort and its machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.files import write_json
from covidlit.runs.cohort_record import cohort_record_of
from covidlit.runs.hardware import hardware_record

if TYPE_CHECKING:
    from covidlit.datamodules import VolumeDataModule


def write_run_records(
    config: Mapping[str, Any], datamodule: VolumeDataModule, run_dir: str | Path
) -> None:
    """Write `cohort.json` and `hardware.json`, which the other files of a run do not tell.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        datamodule: set up.
        run_dir: the run's folder.
    """
    write_json(Path(run_dir) / "cohort.json", cohort_record_of(datamodule))
    write_json(Path(run_dir) / "hardware.json", hardware_record(config))
