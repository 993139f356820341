"""CSAC-Net, 3D ResNet and 3D DenseNet at equal operations and tuning, on the quickstart's cohorts.

python experiments/equal_operations/run.py tune     learning rates and shapes, cohort seed 2
python experiments/equal_operations/run.py report   the chosen ones, cohort seeds 32 and 33: once
python experiments/equal_operations/run.py narrow   narrower CSAC-Nets, more epochs, cohorts 0 to 2

Each step keeps every finished run and can be stopped: the same command goes on.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import results  # noqa: E402
from gain import gain  # noqa: E402
from results import Run, composed, keep, make_cohort, train  # noqa: E402

QUICKSTART = ["experiment=quickstart"]
NET = "model.task.net"
SHAPES = {
    "csacnet": ["model=csacnet"],
    "resnet3d_max_pool": ["model=resnet3d", f"{NET}.width=12", f"{NET}.max_pool=true"],
    "resnet3d_fine": ["model=resnet3d", f"{NET}.width=8", f"{NET}.max_pool=false"],
    "densenet3d_max_pool": ["model=densenet3d", f"{NET}.width=11", f"{NET}.growth=6"],
    "densenet3d_fine": [
        "model=densenet3d", f"{NET}.width=8", f"{NET}.growth=3", f"{NET}.max_pool=false",
    ],
}  # fmt: skip
"""The quickstart's CSAC-Net, and the widths of ResNet-18 and DenseNet-121 that take as many
operations or the next more: with the max pooling behind the stem, and without it, at twice the
resolution."""

NETWORKS = ("csacnet", "resnet3d", "densenet3d")
RATES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
TUNE_COHORT, TUNE_SEED, FRESH, REPORT_SEEDS = 2, 0, (32, 33), (1, 2, 3)
WIDTH, EPOCHS, DEVELOPMENT = 8, 16, (0, 1, 2)
NARROWER = (6, 4)
"""Widths of the first module of CSAC-Net, whose others are multiples of it."""
RECIPE = HERE.parent / "learning_recipe" / "finished"
"""Trainings of the quickstart's own width are kept there."""
figure = partial(results.figure, HERE.name)
auc_figure = partial(results.auc_figure, HERE.name)
Key = tuple[str, int, int]
"""Configuration, cohort seed, network seed."""


def train_all(wanted: Mapping[Key, list[str]]) -> dict[Key, Run]:
    """Train configurations, two at a time on a thread each, unless they are kept already."""
    finished = HERE / "finished"
    names = {key: "_".join(map(str, key)) for key in wanted}
    left = [key for key in wanted if not (finished / names[key] / "asked.json").is_file()]
    for cohort in sorted({cohort for _, cohort, _ in left}):
        make_cohort([*QUICKSTART, f"data.source.seed={cohort}"])

    def one(key: Key) -> Run:
        overrides = [*QUICKSTART, *wanted[key], f"data.source.seed={key[1]}", f"seed={key[2]}"]
        return train(f"equal_operations/{names[key]}", overrides, threads=1, keep_in=finished)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def operations(overrides: list[str]) -> float:
    """Operations of one volume, in 10^9."""
    import torch
    from hydra.utils import instantiate

    from covidlit.cards.network_facts import count_flops

    tree = composed([*QUICKSTART, *overrides])
    with torch.device("meta"):
        net = instantiate(tree.model.task.net).eval()
        return count_flops(net, torch.empty(1, 1, *tree.data.geometry.size)) / 1e9


def candidates() -> dict[str, list[str]]:
    """Every shape at every learning rate, the same ones for each network."""
    return {
        f"{shape}_{rate:g}": [*overrides, f"model.task.optimizer.lr={rate}"]
        for shape, overrides in SHAPES.items()
        for rate in RATES
    }


def tune() -> None:
    runs = train_all({(name, TUNE_COHORT, TUNE_SEED): each for name, each in candidates().items()})
    figures = [
        figure(f"10^9 operations of one volume, {shape}", operations(overrides), "tune")
        for shape, overrides in SHAPES.items()
    ]
    figures += [auc_figure(key, run, "tune") for key, run in runs.items()]
    keep(HERE / "tuned.json", figures, list(runs.values()))


def chosen() -> dict[str, str]:
    """Of each of `NETWORKS` the candidate with the best AUC in the tuning.

    Raises:
        SystemExit: it is not tuned yet.
    """
    path = HERE / "tuned.json"
    if not path.is_file():
        sys.exit("python experiments/equal_operations/run.py tune comes first.")
    found = {each["figure"]: each["value"] for each in json.loads(path.read_text())["figures"]}
    values = {
        name: value
        for name in candidates()
        for words, value in found.items()
        if words.startswith(f"AUC, {name},")
    }
    return {
        network: max((name for name in values if name.startswith(network)), key=values.__getitem__)
        for network in NETWORKS
    }


def report() -> None:
    names = chosen()
    runs = train_all(
        {
            (network, cohort, seed): candidates()[name]
            for cohort in FRESH
            for seed in REPORT_SEEDS
            for network, name in names.items()
        }
    )
    figures = [auc_figure(key, run, "report") for key, run in runs.items()]
    for network in NETWORKS:
        spent = [run.spent["cpu"] for key, run in runs.items() if key[0] == network]
        words = f"processor seconds of a training, {network}, median of {len(spent)}"
        figures.append(figure(words, statistics.median(spent), "report"))
    folders = {key: run.folder for key, run in runs.items()}
    for other in NETWORKS[1:]:
        found = gain(folders, (other, "csacnet"))
        words = (
            f"AUC, {names['csacnet']} minus {names[other]}, mean of {len(FRESH)} cohorts and "
            f"{len(REPORT_SEEDS)} seeds each; 95% interval {found.low:.3f} to {found.high:.3f} "
            "over patients and seeds"
        )
        figures.append(figure(words, found.value, "report", "above 0, or what the evidence says"))
    keep(HERE / "results.json", figures, list(runs.values()))


def narrow() -> None:
    """CSAC-Nets with as many layers and fewer channels, trained for as many operations."""
    each = {width: operations([f"{NET}.width={width}"]) for width in (WIDTH, *NARROWER)}
    epochs = {width: round(EPOCHS * each[WIDTH] / each[width]) for width in each}
    runs = train_all(
        {
            (f"width_{width}", cohort, TUNE_SEED): [
                f"{NET}.width={width}", f"trainer.max_epochs={epochs[width]}",
            ]
            for cohort in DEVELOPMENT for width in NARROWER
        }
    )  # fmt: skip
    figures = [auc_figure(key, run, "narrow") for key, run in runs.items()]
    for width in each:
        words = f"10^9 operations of one volume, width {width}, {epochs[width]} epochs"
        figures.append(figure(words, each[width], "narrow"))
    folders = {key: run.folder for key, run in runs.items()} | {
        (f"width_{WIDTH}", cohort, TUNE_SEED): RECIPE / f"new_{cohort}_{TUNE_SEED}"
        for cohort in DEVELOPMENT
    }
    for width in NARROWER:
        found = gain(folders, (f"width_{WIDTH}", f"width_{width}"))
        words = (
            f"AUC, width {width} minus width {WIDTH}, mean of {len(DEVELOPMENT)} cohorts, one seed "
            f"each; 95% interval {found.low:.3f} to {found.high:.3f} over patients"
        )
        figures.append(figure(words, found.value, "narrow"))
    keep(HERE / "narrow.json", figures, list(runs.values()))


STEPS = {"tune": tune, "report": report, "narrow": narrow}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]]()
