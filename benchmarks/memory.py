"""Resident memory of training: it must not grow with the epochs nor with the number of scans.

    python benchmarks/memory.py

Writes benchmarks/results/memory.json. Trains a small CSAC-Net with Lightning, augmentation and two
loader processes, with 100 and with 1,000 scans in the manifest, each in a fresh process. The scans
are links to four noise volumes, so the cache is small; the datamodule does not know that. Resident
memory is that of the training process and its loader processes together, sampled at the end of each
epoch; shared pages count in each process that maps them. Also the peak of a process that prepares a
synthetic DICOM series of 300 x 512 x 512.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dicom_series import write_series
from record import write_results
from rich.progress import track

COMMAND = "python benchmarks/memory.py"
SIZE = (16, 64, 64)
STEPS = 60
EPOCHS = 8
WORKERS = 2


def write_cohort(folder: Path, n_scans: int) -> Path:
    """A manifest of n scans that are links to four images; the test part has one of its own."""
    from covidlit.scans.images import write_nifti

    affine = np.array([[0, 0, 2, 0], [0, 2, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]], float)
    for i in range(4):
        hu = np.random.default_rng(i).integers(-1000, 400, SIZE).astype(np.int16)
        write_nifti(hu, affine, folder / f"source{i}.nii.gz")
    rows = []
    for i in range(n_scans):
        part = "test" if i % 4 == 3 else "train"
        link = folder / f"{i}.nii.gz"
        link.symlink_to(folder / f"source{i % 4}.nii.gz")
        rows.append(
            {
                "patient_id": f"P{i}", "scan_id": f"S{i}", "path": link.name, "centre": "centre_1",
                "class_name": "np", "target": i // 4 % 2, "split": part,
            }
        )  # fmt: skip
    path = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def resident_mb() -> float:
    """Resident memory of this process and its children, in MB."""
    own = Path("/proc/self")
    children = (own / "task" / own.resolve().name / "children").read_text().split()
    total = 0
    for process in (own, *(Path("/proc") / child for child in children)):
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


def train(folder: Path, n_scans: int) -> list[float]:
    """Resident memory at the end of each epoch, in MB."""
    import pytorch_lightning as pl

    from covidlit.cohort import from_column
    from covidlit.datamodules import VolumeDataModule
    from covidlit.tasks import VolumeClassification

    class Memory(pl.Callback):
        def __init__(self) -> None:
            self.mb: list[float] = []

        def on_train_epoch_end(self, *arguments: Any) -> None:
            self.mb.append(resident_mb())

    data = VolumeDataModule(
        write_cohort(folder, n_scans),
        folder / "cache",
        partial(from_column, column="split"),
        {"spacing": (5, 2, 2), "size": SIZE},
        augmentation={},
        batch_size=4,
        num_workers=WORKERS,
        n_jobs=1,
    )
    task = VolumeClassification({"_target_": "covidlit.models.CSACNet3D", "width": 8})
    memory = Memory()
    trainer = pl.Trainer(
        max_epochs=EPOCHS, limit_train_batches=STEPS, limit_val_batches=0, accelerator="cpu",
        callbacks=[memory], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(task, datamodule=data)
    return memory.mb


def prepare(folder: Path) -> float:
    """Peak resident memory in MB of reading and preparing one DICOM series in this process."""
    from covidlit.preprocess import prepare_cohort

    manifest = pd.DataFrame({"scan_id": ["S0"], "path": [str(folder / "series")]})
    prepare_cohort(manifest, folder / "cache", n_jobs=1, strict=True, progress=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_prepare() -> float:
    """`prepare` in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder) / "series", 300, spacing=1.0)
        return run_child(folder, 0)[0]


def measure(n_scans: int) -> list[float]:
    """`train` in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        return run_child(folder, n_scans)


def run_child(folder: str, n_scans: int) -> list[float]:
    """Run this file in a fresh process; without scans it prepares, else it trains."""
    command = [sys.executable, __file__, "--child", folder, "--scans", str(n_scans)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return list(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--scans", type=int, default=100, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        folder, scans = arguments.child, arguments.scans
        print(json.dumps(train(folder, scans) if scans else [prepare(folder)]))
        return
    curves = {n: measure(n) for n in track((100, 1000), "Training")}
    rows: list[tuple[str, float, str, str | None]] = []
    for n, mb in curves.items():
        print(n, "scans:", [round(v) for v in mb], "MB")
        rows.append((f"resident memory with {n} scans, last epoch", mb[-1], "MB", None))
        # The first two epochs start the processes and fill the allocators.
        rows.append((f"last epoch / third epoch, {n} scans", mb[-1] / mb[2], "ratio", "<= 1.02"))
    ratio = curves[1000][-1] / curves[100][-1]
    rows.append(("1,000 scans / 100 scans, last epoch", ratio, "ratio", "<= 1.02"))
    rows.append(("peak of preparing 300 x 512 x 512 DICOM", measure_prepare(), "MB", "<= 400"))
    keys = ("figure", "value", "unit", "target")
    figures = [
        dict(zip(keys, (name, round(value, 4), *rest), strict=True))
        | {"peer": None, "command": COMMAND}
        for name, value, *rest in rows
    ]
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['target'] or ''}")
    write_results("memory", figures)


if __name__ == "__main__":
    main()
