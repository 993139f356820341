"""The CSAC-Net paper's comparison on a synthetic cohort: networks, classical baselines, ablations.

python experiments/csacnet_mild_covid/run.py tune      learning rates, on development cohorts
python experiments/csacnet_mild_covid/run.py longer    both in longer trainings, on the same
python experiments/csacnet_mild_covid/run.py compare   four models, three seeds each
python experiments/csacnet_mild_covid/run.py ablate    CSAC-Net without one of its parts
python experiments/csacnet_mild_covid/run.py report    tables, figures and heatmaps of the compared
python experiments/csacnet_mild_covid/run.py all       compare, ablate, report

Each step keeps every finished run and can be stopped: the same command goes on.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from report import heatmaps, write  # noqa: E402
from results import RUNS, Run, auc, keep, make_cohort, train  # noqa: E402

RECIPE = ["experiment=quickstart"]
DEVELOPMENT = {seed: [*RECIPE, f"data.source.seed={seed}"] for seed in (1, 2)}
COHORT = [*RECIPE, "data.source.seed=20", "data.source.n_scans=1200", "trainer.max_epochs=16"]
"""Never looked at before: 316 scans in the held-out centre, about 800 for training, 800 steps."""

TASK = "model.task."
NETWORKS = {
    "csacnet": ["model=csacnet", f"{TASK}sparsity_weight=0.1"],
    "resnet3d": ["model=resnet3d"],
}
RATES = (2e-3, 4e-3, 8e-3, 16e-3)
CHOSEN = {"csacnet": 4e-3, "resnet3d": 8e-3}
"""The best mean over the development cohorts in tuned.json; both lie inside the grid."""

LONGER, EPOCHS = {"csacnet": (4e-3,), "resnet3d": (4e-3, 8e-3)}, 56
"""A volume costs CSAC-Net 2.8 times as many operations as ResNet3D, and `tune` has 20 epochs: with
56 ResNet3D has done what CSAC-Net had done with 20."""

SEEDS = (1, 2, 3)
MODELS = {
    **{name: [*NETWORKS[name], f"{TASK}optimizer.lr={CHOSEN[name]}"] for name in NETWORKS},
    "svm": ["model=svm", "model.tune=true"],
    "random_forest": ["model=random_forest", "model.tune=true"],
}
CSACNET = MODELS["csacnet"]
ABLATIONS = {
    "without_cross_layers": [f"{TASK}net.cross_layers=false", f"{TASK}sparsity_weight=0"],
    "without_dilation": [f"{TASK}net.dilations=[1,1]"],
    "without_sparsity": [f"{TASK}sparsity_weight=0"],
}


def one(name: str, overrides: list[str], step: str) -> Run:
    """Train one configuration on one thread, unless it is kept already."""
    folder = HERE / "finished" / step
    return train(f"csacnet_mild_covid/{step}/{name}", overrides, threads=1, keep_in=folder)


def train_all(wanted: dict[str, list[str]], step: str) -> dict[str, Run]:
    """Train several configurations of the same cohort, two at a time."""
    if not all((HERE / "finished" / step / name / "asked.json").is_file() for name in wanted):
        make_cohort(next(iter(wanted.values())))
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda item: one(*item, step), wanted.items())
        return dict(zip(wanted, runs, strict=True))


def figure(name: str, run: Run, step: str, target: str | None = None) -> dict[str, object]:
    """The held-out AUC of a run."""
    result = auc(run)
    return {
        "figure": f"AUC, {name}; 95% CI {result['low']:.3f} to {result['high']:.3f}; held-out "
        f"centre, {result['n']} scans",
        "value": round(result["value"], 4),
        "unit": "1",
        "target": target,
        "peer": None,
        "command": f"python experiments/csacnet_mild_covid/run.py {step}",
    }


def tune() -> None:
    """The same learning rates for both networks, on the same development cohorts."""
    runs: dict[str, Run] = {}
    figures = []
    for seed, cohort in DEVELOPMENT.items():
        wanted = {
            f"{model}_{rate:g}_{seed}": [*cohort, *overrides, f"{TASK}optimizer.lr={rate}"]
            for rate in RATES
            for model, overrides in NETWORKS.items()
        }
        of_cohort = train_all(wanted, "tune")
        figures += [figure(f"{name}, development", run, "tune") for name, run in of_cohort.items()]
        runs |= of_cohort
    for model in NETWORKS:
        for rate in RATES:
            values = [auc(runs[f"{model}_{rate:g}_{seed}"])["value"] for seed in DEVELOPMENT]
            mean = figures[0] | {
                "figure": f"mean AUC over the development cohorts, {model} at {rate:g}",
                "value": round(sum(values) / len(values), 4),
            }
            figures.append(mean)
    keep(HERE / "tuned.json", figures, list(runs.values()))


def longer() -> None:
    """Both networks in longer trainings, beside the tuned SVM, on the development cohorts."""
    runs: dict[str, Run] = {}
    for seed, cohort in DEVELOPMENT.items():
        wanted = {
            f"{model}_{rate:g}_{EPOCHS}_epochs_{seed}": [
                *cohort, *NETWORKS[model], f"{TASK}optimizer.lr={rate}",
                f"trainer.max_epochs={EPOCHS}",
            ]
            for model, rates in LONGER.items()
            for rate in rates
        }  # fmt: skip
        runs |= train_all({**wanted, f"svm_{seed}": [*cohort, *MODELS["svm"]]}, "longer")
    figures = [figure(f"{name}, development", run, "longer") for name, run in runs.items()]
    keep(HERE / "longer.json", figures, list(runs.values()))


def compare() -> dict[str, Run]:
    """All models over three seeds; done already where they are kept."""
    wanted = {
        f"{model}_{seed}": [*COHORT, *overrides, f"seed={seed}"]
        for seed in SEEDS
        for model, overrides in MODELS.items()
    }
    return train_all(wanted, "compare")


def report() -> None:
    """What was compared, as tables and figures, with the worth of CSAC-Net's heatmaps."""
    runs = compare()
    manifest, trained = make_cohort(COHORT), RUNS / "csacnet_mild_covid/compare"
    located = {
        name: heatmaps(name, trained / name, manifest, run.folder)
        for name, run in runs.items()
        if name.startswith("csacnet")
    }
    models = {name: [*COHORT, *overrides] for name, overrides in MODELS.items()}
    write(runs, located, models, trained / "csacnet_1")


def ablate() -> None:
    """CSAC-Net without one of its parts, one seed."""
    wanted = {
        f"{name}_{SEEDS[0]}": [*COHORT, *CSACNET, *overrides, f"seed={SEEDS[0]}"]
        for name, overrides in ABLATIONS.items()
    }
    runs = train_all(wanted, "ablate")
    figures = [figure(name, run, "ablate") for name, run in runs.items()]
    keep(HERE / "ablations.json", figures, list(runs.values()))


def everything() -> None:
    """The whole study, after the learning rates were tuned."""
    compare()
    ablate()
    report()


STEPS = {
    "tune": tune, "longer": longer, "compare": compare, "ablate": ablate, "report": report,
    "all": everything,
}  # fmt: skip

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]]()
