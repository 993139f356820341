"""Run `train.py`, read what it measured, and keep it with the environment it was measured in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import environment  # noqa: E402 (benchmarks/ is not a package)

from covidlit.files import fingerprint, write_json  # noqa: E402

RUNS = ROOT / "runs" / "experiments"


class Run(NamedTuple):
    """What a finished run measured (`metrics.json`), and what it was measured with."""

    metrics: dict[str, Any]
    environment: dict[str, Any]


def train(
    name: str, overrides: list[str], threads: int | None = None, script: str = "train.py"
) -> Run:
    """Train one configuration, unless that was done already with the same `conf/` and overrides.

    A run that was killed goes on from its last epoch.

    Args:
        name: of the run folder, below `runs/experiments`.
        overrides: of `train.py`.
        threads: of PyTorch; None: all cores.
        script: that is run, relative to the project.

    Raises:
        SystemExit: the folder holds a run of another configuration.
    """
    run_dir = RUNS / name
    metrics, record = run_dir / "metrics.json", run_dir / "asked.json"
    asked = {"script": script, "overrides": overrides, "threads": threads, "conf": _configuration()}
    if not record.is_file() and not metrics.is_file():
        write_json(record, asked | {"environment": environment()})
    known = json.loads(record.read_text()) if record.is_file() else {}
    measured_with = known.pop("environment", {})
    if known != asked:
        sys.exit(f"{run_dir} holds a run of another configuration: delete it to train again.")
    if not metrics.is_file():
        last = run_dir / "checkpoints" / "last.ckpt"
        resume = [f"ckpt_path={last}"] if last.is_file() else []
        variables = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        with (run_dir / "output.txt").open("w") as output:
            subprocess.run(
                [sys.executable, script, *overrides, *resume, f"hydra.run.dir={run_dir}"],
                cwd=ROOT, env=os.environ | variables, stdout=output, stderr=output, check=True,
            )  # fmt: skip
    return Run(json.loads(metrics.read_text()), measured_with)


def _configuration() -> str:
    files = sorted((ROOT / "conf").rglob("*.yaml"))
    return fingerprint([(str(f.relative_to(ROOT)), f.read_text()) for f in files])


def auc(run: Run, part: str = "test") -> dict[str, Any]:
    """The AUC of a part: value, low, high, n."""
    return run.metrics["parts"][part]["auc"]


def keep(path: Path, figures: list[dict[str, Any]], runs: Sequence[Run]) -> None:
    """Write the figures of a study with the environment of its runs, and all their commits."""
    commits = sorted({str(run.environment["commit"]) for run in runs})
    measured_with = runs[0].environment | {"commit": ", ".join(commits)}
    write_json(path, {"environment": measured_with, "figures": figures})
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} (target {figure['target']})")
    print(f"written: {path.relative_to(ROOT)}")
