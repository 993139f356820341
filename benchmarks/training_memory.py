"""Peak memory and time of training the default CSAC-Net at batch 10, beside an earlier commit.

    git worktree add /tmp/before COMMIT
    python benchmarks/training_memory.py --before /tmp/before

Each side is `python train.py model=csacnet` on volumes of 32 x 128 x 128, an epoch of two steps in
a process of its own: the most memory that the system says it held (what Python and torch take
before the first step included), and its CPU time. Writes results/training_memory.json.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from record import write_results

ROOT = Path(__file__).parents[1]
COMMON = (
    "model=csacnet", "name=training_memory", "data.source.n_scans=96", "data.source.matrix=48",
    "data.geometry.spacing=[10.0,3.0,3.0]", "data.geometry.size=[32,128,128]",
    "data.batch_size=10", "trainer.max_epochs=1", "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1", "heatmaps=false", "evaluation.n_bootstrap=100",
    "inclusion=none",
)  # fmt: skip
BFLOAT16 = "trainer.precision=bf16-mixed"
CHECKPOINTING = "model.task.net.activation_checkpointing=true"
SIDES = {
    "now": (),
    "now, activation checkpointing": (CHECKPOINTING,),
    "now, bf16-mixed": (BFLOAT16,),
    "now, bf16-mixed and activation checkpointing": (BFLOAT16, CHECKPOINTING),
}
TARGETS = {"now, bf16-mixed and activation checkpointing": "<= 0.6"}


class Took(NamedTuple):
    """Of one training: GB at its peak, seconds of the CPU, mean loss of its steps."""

    memory: float
    cpu: float
    loss: float


def trained(checkout: Path, data: Path, run: Path, overrides: tuple[str, ...]) -> Took:
    """Train with the code of a checkout.

    Raises:
        SystemExit: it failed.
    """
    command = [
        sys.executable, "train.py", *COMMON, *overrides, f"data_dir={data}", f"hydra.run.dir={run}"
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    child = subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(overrides)} failed: see {run / 'train.log'}")
    (log,) = run.rglob("metrics.csv")
    with log.open() as lines:
        (loss,) = [float(row["train_loss"]) for row in csv.DictReader(lines) if row["train_loss"]]
    return Took(usage.ru_maxrss * 1024 / 1e9, usage.ru_utime + usage.ru_stime, loss)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="checkout of an earlier commit")
    before = parser.parse_args().before
    commit = subprocess.run(
        ["git", "-C", before, "rev-parse", "--short=8", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    command = f"python benchmarks/training_memory.py --before CHECKOUT_OF_{commit}"
    figures = []

    def add(words: str, value: float, unit: str, target: str | None, peer: str | None) -> None:
        figures.append(
            {
                "figure": words,
                "value": round(value, 3),
                "unit": unit,
                "target": target,
                "peer": peer,
                "command": command,
            }
        )
        print(f"{words}: {value:.3f} {unit}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        trained(ROOT, data, Path(folder, "first"), ("trainer.limit_train_batches=1",))  # the cohort
        reference = trained(before, data, Path(folder, "before"), ())
        add("peak memory, before", reference.memory, "GB", None, None)
        add("CPU time of the command, before", reference.cpu, "s", None, None)
        add("mean loss of two steps, before", reference.loss, "1", None, None)
        for number, (name, overrides) in enumerate(SIDES.items()):
            took = trained(ROOT, data, Path(folder, str(number)), overrides)
            target = TARGETS.get(name)
            add(f"peak memory, {name}", took.memory, "GB", None, None)
            ratio = took.memory / reference.memory
            add(f"peak memory, {name}, to before", ratio, "ratio", target, commit)
            add(f"CPU time, {name}, to before", took.cpu / reference.cpu, "ratio", None, commit)
            add(f"mean loss of two steps, {name}", took.loss, "1", None, None)
    print(write_results("training_memory", figures))


if __name__ == "__main__":
    main()
