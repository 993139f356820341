"""What pruning saves in a sweep of CSAC-Net on the quickstart's cohort, and what it costs.

python experiments/sweep_csacnet/run.py unpruned   30 trials to their end -> unpruned.json
python experiments/sweep_csacnet/run.py fresh      24 others, of another cohort -> fresh.json
python experiments/sweep_csacnet/run.py today      30 of today's recipe -> today.json
python experiments/sweep_csacnet/run.py replay     the pruners on those curves -> replay.json
python experiments/sweep_csacnet/run.py rules      other rules, on all three sweeps -> rules.json
python experiments/sweep_csacnet/run.py live       the same sweep, pruned -> live.json
python experiments/sweep_csacnet/run.py report     results.json, tables.md, figures
python experiments/sweep_csacnet/run.py all        all of it

Each step keeps what it made and can be stopped: the same command goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402
import optuna  # noqa: E402
import yaml  # noqa: E402
from replay import Curve, replay  # noqa: E402
from report import write  # noqa: E402
from results import FIRST_NETWORK, ROOT, make_cohort  # noqa: E402
from sweeps import curves, sweep  # noqa: E402

from covidlit.files import write_json  # noqa: E402

N_TRIALS, N_WORKERS = 30, 2
RECIPE = [
    "sweep=default",
    "experiment=quickstart",
    "model=csacnet",
    *FIRST_NETWORK,
    "data.source.seed=1",  # a development cohort
    "data.n_jobs=1",
    "split.validation_fraction=0.25",
    "data.geometry.spacing=[20,9,9]",  # coarser than the quickstart's, so that a minute is enough
    "data.geometry.size=[16,32,44]",
    "data.batch_size=12",
    "trainer.max_epochs=16",  # with a whole one-cycle schedule
    "trainer.limit_train_batches=20",
]
SPACE = [
    "model.task.optimizer.lr=tag(log, interval(1e-3, 3e-2))",
    "model.task.net.width=choice(4, 6, 8)",
    "model.task.net.subnet_width=choice(8, 16, 24)",
    "model.task.net.pooling=choice(avg, avg_max)",
    "model.task.net.dropout=interval(0.0, 0.4)",
    "model.task.sparsity_weight=tag(log, interval(1e-3, 1.0))",
]
SWEEPER = [
    # At random: no trial depends on another, so that any order of them is a sweep as well, and the
    # pruned sweep draws the same configurations.
    "hydra/sweeper/sampler=random",
    "hydra.sweeper.sampler.seed=0",
    f"hydra.sweeper.n_trials={N_TRIALS}",
    f"hydra.sweeper.n_jobs={N_WORKERS}",
]
FRESH = {
    "data.source.seed=1": "data.source.seed=2",
    "hydra.sweeper.sampler.seed=0": "hydra.sweeper.sampler.seed=1",
    f"hydra.sweeper.n_trials={N_TRIALS}": "hydra.sweeper.n_trials=24",
}
"""What is other in the fresh sweep: cohort, configurations and number of trials. Named before the
narrowing rule was looked for on the first sweep's curves; it is tried on these once."""

TODAY = {
    "data.source.seed=1": "data.source.seed=0",
    "hydra.sweeper.sampler.seed=0": "hydra.sweeper.sampler.seed=2",
}
"""What is other in the sweep of today's recipe, besides the recipe: cohort and configurations.
Named before a trial of it was run; no rule was chosen by it."""

PRUNERS = ("median", "hyperband")
OTHERS: dict[str, dict[str, Any]] = {
    "narrowing": {"_target_": "narrowing.NarrowingPruner"},
    **{
        f"narrowing to {keep} by {by}, from epoch {first + 1}": {
            "_target_": "narrowing.NarrowingPruner",
            "keep": keep, "by": by, "n_warmup_steps": first,
        }
        for keep in (0.2, 0.3) for by in (0.6, 0.75) for first in (5, 7)
    },
    **{
        f"median, from epoch {first + 1}": {
            "_target_": "optuna.pruners.MedianPruner",
            "n_startup_trials": 5, "n_warmup_steps": first,
        }
        for first in (5, 6, 7, 8, 10)
    },
    **{
        f"best {percent}%, from epoch {first + 1}": {
            "_target_": "optuna.pruners.PercentilePruner",
            "percentile": float(percent), "n_startup_trials": 4, "n_warmup_steps": first,
        }
        for percent in (25, 33, 40) for first in (3, 6, 8)
    },
}  # fmt: skip
"""What was tried beside the shipped pruners; "narrowing" was made on the curves of `unpruned`,
among about 170 rules and settings, before the two other sweeps were run."""

SETTINGS = ROOT / "hydra_plugins/covidlit_sweeper/conf/hydra/sweeper/pruner"
ORDERS = 50
"""How many orders of the trials are replayed."""

SUBSET = 20
"""So many of the trials make one sweep, for the spread of the best value without pruning."""

LEAST_SAVED = 0.4
UNPRUNED, FRESHLY, TODAYS, REPLAYED, RULES, LIVE = (
    HERE / f"{name}.json" for name in ("unpruned", "fresh", "today", "replay", "rules", "live")
)


def unpruned() -> dict[str, Any]:
    """30 trials to their end; done already where they are kept."""
    if not UNPRUNED.is_file():
        make_cohort(RECIPE[1:])  # before two workers want it
    return sweep("unpruned", [*RECIPE, *SPACE, *SWEEPER, "hydra/sweeper/pruner=none"], UNPRUNED)


def fresh() -> dict[str, Any]:
    """24 trials of another cohort to their end, which no rule was chosen by."""
    words = [FRESH.get(word, word) for word in [*RECIPE, *SPACE, *SWEEPER]]
    if not FRESHLY.is_file():
        make_cohort(words[1 : len(RECIPE)])
    return sweep("fresh", [*words, "hydra/sweeper/pruner=none"], FRESHLY)


def today() -> dict[str, Any]:
    """30 trials of today's recipe to their end; the other sweeps are of the first one."""
    recipe = [TODAY.get(word, word) for word in RECIPE if word not in FIRST_NETWORK]
    if not TODAYS.is_file():
        make_cohort(recipe[1:])
    sweeper = [TODAY.get(word, word) for word in SWEEPER]
    return sweep("today", [*recipe, *SPACE, *sweeper, "hydra/sweeper/pruner=none"], TODAYS)


def replayed() -> dict[str, Any]:
    """Both pruners, as they are shipped, on the unpruned curves in many orders."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    record = replay_all(curves(unpruned()), shipped(PRUNERS))
    write_json(REPLAYED, record)
    return record


def shipped(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The settings of pruners as they are shipped."""
    return {name: yaml.safe_load((SETTINGS / f"{name}.yaml").read_text()) for name in names}


def rules() -> dict[str, dict[str, Any]]:
    """What the shipped pruners, the narrowing rule and other settings give on all three sweeps.

    Returns:
        Of "unpruned", "fresh" and "today" the `best_of_subset` of `replay_all`, and of each rule
        the means over the orders of saved and lost, and in how many of them nothing was lost.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = shipped(PRUNERS) | OTHERS
    record = {}
    for name, known in (("unpruned", unpruned()), ("fresh", fresh()), ("today", today())):
        again = replay_all(curves(known), settings)
        record[name] = {
            "best_of_subset": again["best_of_subset"],
            "rules": {rule: in_short(runs) for rule, runs in again["pruners"].items()},
        }
    write_json(RULES, record)
    return record


def in_short(runs: dict[str, Any]) -> dict[str, Any]:
    """Means over the orders of what `replay_all` gives of a pruner."""
    saved, lost = np.array(runs["saved"]), np.array(runs["lost"])
    return {
        "settings": runs["settings"],
        "saved": round(float(saved.mean()), 4),
        "lost": round(float(lost.mean()), 4),
        "nothing_lost_in": int((lost <= 0).sum()),
    }


def replay_all(known: list[Curve], settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What each pruner saves and loses, over orders of the trials.

    Args:
        known: curves of an unpruned sweep.
        settings: of each pruner, by name.

    Returns:
        Of each pruner the list over the orders of saved (share of the epochs), lost (best value)
        and pruned (number of trials); `best_of_subset`, the best value of `SUBSET` of the trials
        for each order; `chosen`, the pruner for the live sweep.
    """
    orders = [np.random.default_rng(seed).permutation(len(known)) for seed in range(ORDERS)]
    pruners = {}
    for name, given in settings.items():
        runs = [
            replay([known[place] for place in order], given, seed, N_WORKERS)
            for seed, order in enumerate(orders)
        ]
        pruners[name] = {
            "settings": given,
            "saved": [run.saved for run in runs],
            "lost": [run.lost for run in runs],
            "pruned": [len(run.pruned) for run in runs],
        }
    best = [max(known[place].value for place in order[:SUBSET]) for order in orders]
    return {"pruners": pruners, "best_of_subset": best, "chosen": choose(pruners)}


def choose(pruners: dict[str, dict[str, Any]]) -> str:
    """Of those that save enough the one that loses least; if none does, the one that saves most."""
    enough = [name for name in pruners if np.mean(pruners[name]["saved"]) >= LEAST_SAVED]
    if enough:
        return min(enough, key=lambda name: float(np.mean(pruners[name]["lost"])))
    return max(pruners, key=lambda name: float(np.mean(pruners[name]["saved"])))


def live() -> dict[str, Any]:
    """The same sweep with the pruner that the replay chose."""
    chosen = (json.loads(REPLAYED.read_text()) if REPLAYED.is_file() else replayed())["chosen"]
    return sweep("live", [*RECIPE, *SPACE, *SWEEPER, f"hydra/sweeper/pruner={chosen}"], LIVE)


def report() -> None:
    """Figures, tables and results of all steps; runs those that are not done."""
    whole, again, tried, pruned = unpruned(), replayed(), rules(), live()
    write(whole, again, tried, pruned, least_saved=LEAST_SAVED, subset=SUBSET, folder=HERE)


STEPS = {
    "unpruned": unpruned, "fresh": fresh, "today": today, "replay": replayed,
    "rules": rules, "live": live, "report": report, "all": report,
}  # fmt: skip

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]]()
