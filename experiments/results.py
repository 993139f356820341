"""Run `train.py`, read what it measured, and keep it with the environment it was measured in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import environment  # noqa: E402 (benchmarks/ is not a package)

from covidlit.files import write_json  # noqa: E402

RUNS = ROOT / "runs" / "experiments"


def train(name: str, overrides: list[str], threads: int | None = None) -> dict[str, Any]:
    """Train one configuration unless its run folder is whole already; returns its metrics.

    Args:
        name: of the run folder, below `runs/experiments`.
        overrides: of `train.py`.
        threads: of PyTorch; None: all cores.
    """
    run_dir = RUNS / name
    metrics = run_dir / "metrics.json"
    if not metrics.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        variables = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        with (run_dir / "output.txt").open("w") as output:
            subprocess.run(
                [sys.executable, "train.py", *overrides, f"hydra.run.dir={run_dir}"],
                cwd=ROOT, env=os.environ | variables, stdout=output, stderr=output, check=True,
            )  # fmt: skip
    return json.loads(metrics.read_text())


def auc(metrics: dict[str, Any], part: str = "test") -> dict[str, Any]:
    """The AUC of a part: value, low, high, n."""
    return metrics["parts"][part]["auc"]


def keep(path: Path, figures: list[dict[str, Any]]) -> None:
    """Write the figures of a study with the environment."""
    write_json(path, {"environment": environment(), "figures": figures})
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} (target {figure['target']})")
    print(f"written: {path.relative_to(ROOT)}")
