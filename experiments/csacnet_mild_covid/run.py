"""The CSAC-Net paper's comparison on synthetic cohorts: networks, classical baselines, ablations.

python experiments/csacnet_mild_covid/run.py tune        learning rates, on development cohorts
python experiments/csacnet_mild_covid/run.py longer      longer trainings, on the same
python experiments/csacnet_mild_covid/run.py compare     four models, three seeds each
python experiments/csacnet_mild_covid/run.py ablate      CSAC-Net without one of its parts
python experiments/csacnet_mild_covid/run.py report      tables, figures and heatmaps of these
python experiments/csacnet_mild_covid/run.py all         compare, ablate, report

With "long" behind them the last four do the same in long/: longer trainings on another cohort.
Each step keeps every finished run and can be stopped: the same command goes on.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from report import heatmaps, write  # noqa: E402
from results import FIRST_NETWORK, RUNS, Run, auc, keep, make_cohort, train  # noqa: E402

RECIPE = ["experiment=quickstart"]
DEVELOPMENT = {seed: [*RECIPE, f"data.source.seed={seed}"] for seed in (1, 2)}
SIZE = [*RECIPE, "data.source.n_scans=1200"]
STUDIES = {
    "": [*SIZE, "data.source.seed=20", "trainer.max_epochs=16"],
    "long/": [*SIZE, "data.source.seed=21", "trainer.max_epochs=45"],
}
"""Each cohort was never looked at before. About 315 scans in the held-out centre, 800 for training,
50 steps an epoch. 45 epochs of ResNet3D are as many operations as 16 of CSAC-Net."""

TASK = "model.task."
NETWORKS = {
    "csacnet": ["model=csacnet", *FIRST_NETWORK, f"{TASK}sparsity_weight=0.1"],
    "resnet3d": ["model=resnet3d", *FIRST_NETWORK],
}
RATES = (2e-3, 4e-3, 8e-3, 16e-3)
CHOSEN = {"csacnet": 4e-3, "resnet3d": 8e-3}
"""The best mean over the development cohorts in tuned.json; both lie inside the grid."""

LONGER, EPOCHS = {"csacnet": (4e-3,), "resnet3d": (4e-3, 8e-3)}, 56
"""A volume costs CSAC-Net 2.8 times as many operations as ResNet3D, and `tune` has 20 epochs: with
56 ResNet3D has done what CSAC-Net had done with 20. ResNet3D is tried at a second rate as well."""

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


def kept(step: str) -> Path:
    """Where a step such as "compare" or "long/compare" keeps what it finished."""
    study, _, name = step.rpartition("/")
    return HERE / study / "finished" / name


def command(step: str) -> str:
    """The command that does a step."""
    study, _, name = step.rpartition("/")
    return f"python experiments/csacnet_mild_covid/run.py {name} {study}".strip()


def one(name: str, overrides: list[str], step: str) -> Run:
    """Train one configuration on one thread, unless it is kept already."""
    return train(f"csacnet_mild_covid/{step}/{name}", overrides, threads=1, keep_in=kept(step))


def train_all(wanted: dict[str, list[str]], step: str) -> dict[str, Run]:
    """Train several configurations of the same cohort, two at a time."""
    if not all((kept(step) / name / "asked.json").is_file() for name in wanted):
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
        "command": command(step),
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


def compare(study: str) -> dict[str, Run]:
    """All models over three seeds; done already where they are kept."""
    wanted = {
        f"{model}_{seed}": [*STUDIES[study], *overrides, f"seed={seed}"]
        for seed in SEEDS
        for model, overrides in MODELS.items()
    }
    return train_all(wanted, f"{study}compare")


def report(study: str) -> None:
    """What was compared, as tables and figures, with the worth of CSAC-Net's heatmaps."""
    runs = compare(study)
    trained = RUNS / "csacnet_mild_covid" / study / "compare"
    if not (trained / "csacnet_1" / "predictions.parquet").is_file():
        again = kept(f"{study}compare") / "csacnet_1"
        sys.exit(
            f"Figures 3 and 4 need the checkpoint of csacnet_1, which is not in {trained}: delete "
            f"{again} to train it again."
        )
    manifest = make_cohort(STUDIES[study])
    located = {
        name: heatmaps(name, trained / name, manifest, run.folder)
        for name, run in runs.items()
        if name.startswith("csacnet")
    }
    models = {name: [*STUDIES[study], *overrides] for name, overrides in MODELS.items()}
    by = command(f"{study}report")
    write(HERE / study, by, runs, located, models, trained / "csacnet_1")


def ablate(study: str) -> None:
    """CSAC-Net without one of its parts, one seed."""
    wanted = {
        f"{name}_{SEEDS[0]}": [*STUDIES[study], *CSACNET, *overrides, f"seed={SEEDS[0]}"]
        for name, overrides in ABLATIONS.items()
    }
    runs = train_all(wanted, f"{study}ablate")
    figures = [figure(name, run, f"{study}ablate") for name, run in runs.items()]
    keep(HERE / study / "ablations.json", figures, list(runs.values()))


def everything(study: str) -> None:
    """A whole study, after the learning rates were tuned."""
    compare(study)
    ablate(study)
    report(study)


ON_DEVELOPMENT = {"tune": tune, "longer": longer}
OF_STUDY = {"compare": compare, "ablate": ablate, "report": report, "all": everything}

if __name__ == "__main__":
    match sys.argv[1:]:
        case [step] if step in ON_DEVELOPMENT:
            ON_DEVELOPMENT[step]()
        case [step] if step in OF_STUDY:
            OF_STUDY[step]("")
        case [step, "long"] if step in OF_STUDY:
            OF_STUDY[step]("long/")
        case _:
            sys.exit(__doc__)
