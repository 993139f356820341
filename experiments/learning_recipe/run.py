"""What soft bins of density and a short warm-up do for CSAC-Net at the quickstart's size.

python experiments/learning_recipe/run.py explore   one change at a time, cohort seed 2
python experiments/learning_recipe/run.py develop   both recipes, cohort seeds 0 to 2, 2 seeds each
python experiments/learning_recipe/run.py bfloat16  the new one in bfloat16, beside these
python experiments/learning_recipe/run.py heat      where both recipes look, after develop
python experiments/learning_recipe/run.py demo      the new one, as `make demo`, 5 seeds
python experiments/learning_recipe/run.py report    both, cohort seeds 30 and 31: once, when frozen

Each step keeps every finished run and can be stopped: the same command goes on.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import results  # noqa: E402
from gain import gain  # noqa: E402
from heat import hits, paired  # noqa: E402
from results import FIRST_RECIPE, RUNS, Run, auc, keep, make_cohort, train  # noqa: E402

NEW = ["experiment=quickstart"]
RECIPES = {"first": FIRST_RECIPE, "new": NEW}
BFLOAT16 = [*NEW, "trainer.precision=bf16-mixed"]
NET, SCHEDULER, OPTIMIZER = "model.task.net", "model.task.scheduler", "model.task.optimizer"
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
    "new_maximum": [*NEW, f"{NET}.pooling=max"],
    "new_decay": [
        *NEW, f"{OPTIMIZER}._target_=torch.optim.AdamW", f"+{OPTIMIZER}.weight_decay=0.05",
    ],
    "new_average_of_weights": [
        *NEW, "+callbacks.average._target_=pytorch_lightning.callbacks.EMAWeightAveraging",
        "+callbacks.average.decay=0.98",
    ],
    "new_batches_of_8": [*NEW, "data.batch_size=8"],
    "new_focal_loss": [*NEW, "model.task.loss=focal"],
    "new_no_flips": [*NEW, "augmentation=none"],
}  # fmt: skip
"""`bins_and_warm_up` differs from `new` in its 20 epochs alone."""

EXPLORE_COHORT, DEVELOPMENT, FRESH = 2, (0, 1, 2), (30, 31)
DEVELOPMENT_SEEDS, DEMO_SEEDS, REPORT_SEEDS = (0, 1), (0, 1, 2, 3, 4), (1, 2, 3)
WANTED_AUC = 0.90
figure = partial(results.figure, HERE.name)
auc_figure = partial(results.auc_figure, HERE.name)
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


def explore() -> None:
    runs = train_all({(name, EXPLORE_COHORT, 0): each for name, each in EXPLORED.items()})
    figures = [auc_figure(key, run, "explore") for key, run in runs.items()]
    for (name, _, _), run in runs.items():
        seconds, reached = seconds_to_learn(run)
        words = f"processor seconds to a validation AUC of 0.90 that stays, {name}"
        figures.append(figure(words if reached else f"{words}: not reached in", seconds, "explore"))
    keep(HERE / "explored.json", figures, list(runs.values()))


def developed(recipes: Mapping[str, list[str]]) -> dict[Key, Run]:
    """Both seeds of every development cohort with each recipe."""
    return train_all(
        {
            (name, cohort, seed): recipe
            for cohort in DEVELOPMENT
            for seed in DEVELOPMENT_SEEDS
            for name, recipe in recipes.items()
        }
    )


def ratio_figure(
    runs: Mapping[Key, Run], names: tuple[str, str], step: str, target: str | None
) -> dict[str, Any]:
    """Median ratio of the processor time to learn, of the first named recipe to the second."""
    ratios = [
        seconds_to_learn(runs[names[0], *key])[0] / seconds_to_learn(runs[names[1], *key])[0]
        for key in itertools.product(DEVELOPMENT, DEVELOPMENT_SEEDS)
    ]
    words = (
        f"processor time to a validation AUC of 0.90 that stays, {names[0]} over {names[1]}, "
        f"median of {len(ratios)}; {min(ratios):.2f} to {max(ratios):.2f}"
    )
    return figure(words, statistics.median(ratios), step, target)


def never_figure(runs: Mapping[Key, Run], name: str, step: str) -> dict[str, Any]:
    """How many trainings with a recipe do not have the AUC at their end."""
    ends = [seconds_to_learn(run)[1] for key, run in runs.items() if key[0] == name]
    words = f"trainings of {len(ends)} whose validation AUC is below 0.90 at the end, {name} recipe"
    return figure(words, ends.count(False), step)


def develop() -> None:
    runs = developed(RECIPES)
    figures = [auc_figure(key, run, "develop") for key, run in runs.items()]
    figures += [never_figure(runs, name, "develop") for name in RECIPES]
    figures.append(ratio_figure(runs, ("new", "first"), "develop", "<= 0.5"))
    keep(HERE / "developed.json", figures, list(runs.values()))


def bfloat16() -> None:
    runs = developed({**RECIPES, "bfloat16": BFLOAT16})
    own = {key: run for key, run in runs.items() if key[0] == "bfloat16"}
    figures = [auc_figure(key, run, "bfloat16") for key, run in own.items()]
    figures.append(never_figure(runs, "bfloat16", "bfloat16"))
    spent = [
        runs["bfloat16", *key].spent["cpu"] / runs["new", *key].spent["cpu"]
        for key in itertools.product(DEVELOPMENT, DEVELOPMENT_SEEDS)
    ]
    words = f"processor time of a training, bfloat16 over new, median of {len(spent)}"
    figures.append(figure(words, statistics.median(spent), "bfloat16"))
    for other in RECIPES:
        figures.append(ratio_figure(runs, ("bfloat16", other), "bfloat16", None))
    keep(HERE / "bfloat16.json", figures, list(own.values()))


def heat() -> None:
    runs = developed(RECIPES)
    found: dict[str, dict[int, pd.Series]] = {name: {} for name in RECIPES}
    for cohort in DEVELOPMENT:
        manifest = make_cohort([*NEW, f"data.source.seed={cohort}"])
        for name in RECIPES:
            key, seed = f"{name}_{cohort}_{DEVELOPMENT_SEEDS[0]}", DEVELOPMENT_SEEDS[0]
            finished = runs[name, cohort, seed].folder
            found[name][cohort] = hits(RUNS / "learning_recipe" / key, finished, manifest)
    figures = [
        figure(
            f"hit rate, {name}, cohort seed {cohort}, network seed {DEVELOPMENT_SEEDS[0]}; "
            f"{len(hit)} positive scans of the held-out centre",
            float(hit.mean()), "heat",
        )
        for name, of in found.items()
        for cohort, hit in of.items()
    ]  # fmt: skip
    gained = paired(found["new"], found["first"])
    words = (
        f"hit rate, new minus first, mean of {len(DEVELOPMENT)} cohorts, the same scans; "
        f"95% interval {gained.low:.3f} to {gained.high:.3f} over scans"
    )
    figures.append(figure(words, gained.value, "heat", "not lower"))
    keep(HERE / "heat.json", figures, [run for key, run in runs.items() if key[2] == 0])


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


STEPS = {
    "explore": explore, "develop": develop, "bfloat16": bfloat16, "heat": heat,
    "demo": demo, "report": report,
}  # fmt: skip

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]]()
