"""Peak memory of training a Mask R-CNN with four slices of 512 x 512, small and large.

    python benchmarks/slice_memory.py

Each is `python train.py` on synthetic slices that are enlarged to 512 x 512, one epoch of two steps
and one batch of validation, in a process of its own; the system says the most that it held, with
what is loaded. Writes results/slice_memory.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from record import write_results

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/slice_memory.py"
MODELS = ("maskrcnn_small", "maskrcnn")
OVERRIDES = (
    "data=slices", "data.source.n_scans=8", "data.size=[512,512]", "data.batch_size=4",
    "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
    "evaluation.n_bootstrap=100", "callbacks=last_epoch",
)  # fmt: skip


def peak_gb(model: str, data: Path, run_dir: Path) -> float:
    """The most that a training held, in GB."""
    command = [sys.executable, "train.py", f"model={model}", *OVERRIDES, f"data_dir={data}"]
    child = subprocess.Popen(
        [*command, f"hydra.run.dir={run_dir}"], cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{model} failed: see {run_dir / 'train.log'}")
    return usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    models = parser.parse_args().models
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            peak = peak_gb(model, Path(folder, "data"), Path(folder, model))
            print(f"{model}: {peak:.2f} GB")
            figures.append(
                {
                    "figure": f"training of model={model}, 4 slices of 512 x 512, most memory held",
                    "value": round(peak, 2),
                    "unit": "GB",
                    "target": None,
                    "peer": None,
                    "command": COMMAND,
                }
            )
    print(write_results("slice_memory", figures))


if __name__ == "__main__":
    main()
