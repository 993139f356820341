"""What a sweep costs beside its trials, and what a second worker brings.

python benchmarks/sweep_overhead.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
from record import write_results

from covidlit.sweep.existing_study import existing_study

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/sweep_overhead.py"
N_TRIALS, N_SLEEPS, SLEEP_S = 10, 12, 5.0
TRIVIAL = "trivial"


def trivial_application() -> None:
    """covidlit's whole configuration with a task that imports the libraries and does nothing."""
    import hydra
    from omegaconf import DictConfig

    from covidlit.settings.tree import config_dir

    def task(config: DictConfig) -> float:
        for name in ("torch", "pytorch_lightning", "monai.networks.nets", "torchio"):
            import_module(name)
        return float(config.seed)

    hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(task)()


def sweep(folder: Path, application: list[str], *arguments: str) -> tuple[datetime, float]:
    """Run a sweep; when it began and its wall-clock seconds, start of the process included."""
    command = [sys.executable, *application, "-m", f"hydra.sweep.dir={folder}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began, start = datetime.now(), time.perf_counter()
    subprocess.run(command, check=True, env=environment, cwd=folder.parent, capture_output=True)
    return began, time.perf_counter() - start


def overhead(scratch: Path) -> list[dict[str, Any]]:
    """Figures of a sweep of trivial trials: all its time is overhead."""
    folder = scratch / "trivial"
    began, wall = sweep(
        folder, [__file__, TRIVIAL], "hydra/sweeper=covidlit", "seed=range(1,1000)",
        f"hydra.sweeper.n_trials={N_TRIALS}",
    )  # fmt: skip
    trials = existing_study(folder).trials
    first, *others = trials
    assert first.datetime_start is not None
    assert all(trial.duration is not None for trial in trials)
    timing = [trial.user_attrs["timing"] for trial in others]
    ask, compose = (statistics.mean(t[name] for t in timing) for name in ("ask", "compose"))
    whole = statistics.mean(t.duration.total_seconds() for t in others if t.duration)
    started = (first.datetime_start - began).total_seconds()
    return [
        figure(f"overhead per trial over {N_TRIALS} trivial trials", wall / N_TRIALS, "<= 3"),
        figure("of the whole: start of the command, to the first trial", started),
        figure(
            "of the whole: first trial, with its worker's start and the import of the libraries",
            first.duration.total_seconds() if first.duration else 0.0,
        ),
        figure("each further trial", whole),
        figure("of a further trial: to draw it and write it down", ask),
        figure("of a further trial: to compose its configuration", compose),
        figure("of a further trial: folder, logging, record of its end", whole - ask - compose),
    ]


def speed_up(scratch: Path) -> list[dict[str, Any]]:
    """How much faster two workers are than one where trials only sleep."""
    walls = []
    for n_jobs in (1, 2):
        arguments = [
            "x=interval(0,1)", f"seconds={SLEEP_S}", f"hydra.sweeper.n_trials={N_SLEEPS}",
            f"hydra.sweeper.n_jobs={n_jobs}",
        ]  # fmt: skip
        application = [str(ROOT / "tests" / "sweep" / "app.py")]
        walls.append(sweep(scratch / f"workers{n_jobs}", application, *arguments)[1])
    name = f"{N_SLEEPS} trials that sleep {SLEEP_S:g} s"
    return [
        figure(f"two workers against one, {name}", walls[0] / walls[1], ">= 1.8", "times"),
        figure(f"one worker, {name}, start included", walls[0]),
        figure(f"two workers, {name}, start included", walls[1]),
    ]


def figure(name: str, value: float, target: str | None = None, unit: str = "s") -> dict[str, Any]:
    """One line of the results."""
    print(f"{name}: {value:.2f} {unit}")
    return {
        "figure": name, "value": round(value, 3), "unit": unit, "target": target, "peer": None,
        "command": COMMAND,
    }  # fmt: skip


def main() -> None:
    """Measure both and write `results/sweep_overhead.json`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        figures = [*overhead(Path(scratch)), *speed_up(Path(scratch))]
    print(write_results("sweep_overhead", figures))


if __name__ == "__main__":
    if sys.argv[1:2] == [TRIVIAL]:
        del sys.argv[1]
        trivial_application()
    else:
        main()
