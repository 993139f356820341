"""What soft bins of density and a short warm-up do for CSAC-Net at the quickstart's size.

python experiments/learning_recipe/run.py explore   one change at a time, cohort seed 2
python experiments/learning_recipe/run.py develop   both recipes, cohort seeds 0 to 2, 2 seeds each
python experiments/learning_recipe/run.py demo      the new one, as `make demo`, 5 seeds
python experiments/learning_recipe/run.py report    both, cohort seeds 30 and 31: once, when frozen

Each step keeps every finished run and can be stopped: the same command goes on.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from gain import gain  # noqa: E402
from results import FIRST_RECIPE, RUNS, Run, auc, keep, make_cohort, train  # noqa: E402

NEW = ["experiment=quickstart"]
RECIPES = {"first": FIRST_RECIPE, "new": NEW}
NET, SCHEDULER = "model.task.net", "model.task.scheduler"
BINS = [f"{NET}.input_bins=5", f"{NET}.input_mean=0", f"{NET}.input_std=1"]
WARM_UP = [f"{SCHEDULER}.pct_start=0.1"]
EXPLORED = {
    "first": FIRST_RECIPE,
    "short_warm_up": [*FIRST_RECIPE, *WARM_UP],
    "bins": [*FIRST_RECIPE, *BINS],
    "bins_and_warm_up": [*FIRST_RECIPE, *BINS, *WARM_UP],
    "new": NEW,
    "new_8_bins_wide_window": [*NEW, f"{NET}.input_bins=8", "data.window=[-1000,400]"],
    "new_smooth_maximum": [*NEW, f"{NET}.pooling=lse"],
}
"""`bins_and_warm_up` differs from `new` in its 20 epochs alone."""

EXPLORE_COHORT, DEVELOPMENT, FRESH = 2, (0, 1, 2), (30, 31)
DEVELOPMENT_SEEDS, DEMO_SEEDS, REPORT_SEEDS = (0, 1), (0, 1, 2, 3, 4), (1, 2, 3)
WANTED_AUC = 0.90
Key = tuple[str, int, int]
"""Recipe, cohort seed, network seed."""


def train_all(wanted: Mapping[Key, list[str]]) -> dict[Key, Run]:
    """Train configurations, two at a time on a thread each, unless they are kept already."""
    finished = HERE / "finished"

    def name(key: Key) -> str:
        return "_".join(map(str, key))

    for cohort in sorted({cohort for _, cohort, _ in wanted}):
        left = [key for key in wanted if not (finished / name(key) / "asked.json").is_file()]
        if any(key[1] == cohort for key in left):
            make_cohort([*NEW, f"data.source.seed={cohort}"])

    def one(key: Key) -> Run:
        overrides = [*wanted[key], f"data.source.seed={key[1]}", f"seed={key[2]}"]
        run = train(f"learning_recipe/{name(key)}", overrides, threads=1, keep_in=finished)
        epochs = run.folder / "epochs.csv"
        if not epochs.is_file():
            (log,) = (RUNS / "learning_recipe" / name(key) / "logs").rglob("metrics.csv")
            shutil.copyfile(log, epochs)
        return run

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def seconds_to_learn(run: Run) -> tuple[float, bool]:
    """Processor seconds to a validation AUC of 0.90 that stays, and whether it was reached.

    The run's processor time (start, preparation of its input and scoring included), by the share
    of its epochs; all of it where the AUC is not there at the end.
    """
    epochs = pd.read_csv(run.folder / "epochs.csv").dropna(subset=["val_auroc"])
    short = epochs.loc[epochs["val_auroc"] < WANTED_AUC, "epoch"]
    n_epochs = int(epochs["epoch"].max()) + 1
    needed = int(short.max()) + 2 if len(short) else 1
    return run.spent["cpu"] * min(needed, n_epochs) / n_epochs, needed <= n_epochs


def figure(words: str, value: float, step: str, target: str | None = None) -> dict[str, Any]:
    return {
        "figure": words, "value": round(value, 4), "unit": "1", "target": target, "peer": None,
        "command": f"python experiments/learning_recipe/run.py {step}",
    }  # fmt: skip


def auc_figure(key: Key, run: Run, step: str) -> dict[str, Any]:
    """The AUC of the held-out centre, its interval in the words."""
    value, recipe = auc(run), key[0]
    return figure(
        f"AUC, {recipe}, cohort seed {key[1]}, network seed {key[2]}; 95% CI {value['low']:.3f} to "
        f"{value['high']:.3f}; held-out centre, {value['n']} scans",
        value["value"], step,
    )  # fmt: skip


def explore() -> None:
    runs = train_all({(name, EXPLORE_COHORT, 0): each for name, each in EXPLORED.items()})
    figures = [auc_figure(key, run, "explore") for key, run in runs.items()]
    for (name, _, _), run in runs.items():
        seconds, reached = seconds_to_learn(run)
        words = f"processor seconds to a validation AUC of 0.90 that stays, {name}"
        figures.append(figure(words if reached else f"{words}: not reached in", seconds, "explore"))
    keep(HERE / "explored.json", figures, list(runs.values()))


def develop() -> None:
    runs = train_all(
        {
            (name, cohort, seed): recipe
            for cohort in DEVELOPMENT
            for seed in DEVELOPMENT_SEEDS
            for name, recipe in RECIPES.items()
        }
    )
    figures = [auc_figure(key, run, "develop") for key, run in runs.items()]
    ratios, never = [], dict.fromkeys(RECIPES, 0)
    for cohort in DEVELOPMENT:
        for seed in DEVELOPMENT_SEEDS:
            spent = {name: seconds_to_learn(runs[name, cohort, seed]) for name in RECIPES}
            for name, (_, reached) in spent.items():
                never[name] += not reached
            ratios.append(spent["new"][0] / spent["first"][0])
    for name, count in never.items():
        words = f"trainings of 6 whose validation AUC is below 0.90 at the end, {name} recipe"
        figures.append(figure(words, count, "develop"))
    words = "processor time to a validation AUC of 0.90 that stays, new over first, median of 6"
    figures.append(figure(words, statistics.median(ratios), "develop", "<= 0.5"))
    keep(HERE / "developed.json", figures, list(runs.values()))


def demo() -> None:
    runs = train_all({("new", 0, seed): NEW for seed in DEMO_SEEDS})
    figures = [auc_figure(key, run, "demo") for key, run in runs.items()]
    least = min(auc(run)["value"] for run in runs.values())
    figures.append(figure("least AUC of five network seeds", least, "demo", ">= 0.92"))
    keep(HERE / "demo.json", figures, list(runs.values()))


def report() -> None:
    runs = train_all(
        {
            (name, cohort, seed): recipe
            for cohort in FRESH
            for seed in REPORT_SEEDS
            for name, recipe in RECIPES.items()
        }
    )
    figures = [auc_figure(key, run, "report") for key, run in runs.items()]
    found = gain({key: run.folder for key, run in runs.items()})
    words = (
        f"gain in AUC, new minus first, mean of {len(FRESH)} cohorts and {len(REPORT_SEEDS)} seeds "
        f"each; 95% interval {found.low:.3f} to {found.high:.3f} over patients and seeds"
    )
    figures.append(figure(words, found.value, "report", "interval above 0"))
    keep(HERE / "results.json", figures, list(runs.values()))


STEPS = {"explore": explore, "develop": develop, "demo": demo, "report": report}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]]()
