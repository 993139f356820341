"""The memory that a training was said to take, against what it took, in five configurations.

    python benchmarks/step_memory.py

Each is `python train.py` on a small synthetic cohort, one epoch of two steps, in a process of its
own: the log says what the step takes with what is loaded, the system the most that was held.
Writes results/step_memory.json.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from record import write_results

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/step_memory.py"
CONFIGURATIONS = {
    "CSAC-Net of width 64, 2 volumes of 64 x 128 x 128": (
        "model=csacnet", "data.batch_size=2", "data.geometry.size=[64,128,128]",
    ),
    "CSAC-Net of width 32, 3 volumes of 48 x 192 x 192": (
        "model=csacnet", "model.task.net.width=32", "data.batch_size=3",
        "data.geometry.size=[48,192,192]",
    ),
    "CSAC-Net of width 16, group norm, 10 volumes of 32 x 128 x 128": (
        "model=csacnet", "model.task.net.width=16", "model.task.net.norm=group",
        "data.batch_size=10", "data.geometry.size=[32,128,128]",
    ),
    "3D ResNet-18, 8 volumes of 64 x 128 x 128": (
        "model=resnet3d", "data.batch_size=8", "data.geometry.size=[64,128,128]",
    ),
    "3D ResNet-50, 2 volumes of 64 x 160 x 160, two loaders": (
        "model=resnet3d", "model.task.net.depth=50", "data.batch_size=2",
        "data.geometry.size=[64,160,160]", "data.num_workers=2",
    ),
}  # fmt: skip
COMMON = (
    "data.source.n_scans=40", "data.source.matrix=48", "data.geometry.spacing=[5.0,3.0,3.0]",
    "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
    "heatmaps=false", "evaluation.n_bootstrap=100", "inclusion=none",
)  # fmt: skip


def said_and_taken(data: Path, run_dir: Path, overrides: tuple[str, ...]) -> tuple[float, float]:
    """GB with what is loaded, as the log said, and the most that the process held."""
    command = [sys.executable, "train.py", *COMMON, *overrides, f"data_dir={data}"]
    child = subprocess.Popen(
        [*command, f"hydra.run.dir={run_dir}"], cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(overrides)} failed: see {run_dir / 'train.log'}")
    log = (run_dir / "train.log").read_text()
    found = re.search(r"([\d.]+) GB with what is loaded", log)
    if found is None:
        raise SystemExit(f"nothing was said: see {run_dir / 'train.log'}")
    return float(found[1]), usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    """Measure and write the result."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, overrides) in enumerate(CONFIGURATIONS.items()):
            said, taken = said_and_taken(
                Path(folder, "data"), Path(folder, f"run{number}"), overrides
            )
            print(f"{name}: said {said:.2f} GB, took {taken:.2f} GB, {taken / said:.2f}")
            figures.append(
                {
                    "figure": f"memory taken over memory said: {name} ({taken:.2f} GB)",
                    "value": round(taken / said, 3),
                    "unit": "ratio",
                    "target": "0.75 to 1.25",
                    "peer": None,
                    "command": COMMAND,
                }
            )
    print(write_results("step_memory", figures))


if __name__ == "__main__":
    main()
