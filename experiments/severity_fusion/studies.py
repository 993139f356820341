"""What is run: each a cross-validation of `python train.py`, in a folder of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from cohorts import PAPER, permuted_table, some_patients, synthetic_cohort
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from shortcut import selected_on_all

from covidlit.cli.train import whole_run
from covidlit.files import write_json
from covidlit.settings.tree import config_dir

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import environment  # noqa: E402 (benchmarks/ is not a package)

RUNS = ROOT / "runs" / "experiments" / "severity_fusion"
SHARED = Path(os.environ.get("COVIDLIT_SHARED", ROOT.parent / "shared"))
LABS = SHARED / "data" / "clinical" / "hairlab_375.xlsx"

NETWORK = "fusion_ann"
PEERS = ("logistic_regression", "best_single", "svm", "random_forest", "lightgbm")
MODELS = (NETWORK, *PEERS)
REPEATS = 5

PROGNOSIS = ("cox", "lightgbm")
"""Models of time to death; each takes `label_rule=endpoint` and `model.horizons`."""

HORIZONS = (5, 10, 15)
"""Days at which their risks are judged."""

FEATURES = {"labs": ["clinical"], "labs and age": ["clinical", "age"]}
"""(b): the 16 of the paper's 17 indicators that the table has; age stands beside every model."""

SETS = ("imaging", "clinical", "all28", "paper15")
"""(a): presets of features."""

SIZES = (40, 60, 90, 140, 200, 280)
"""(c): patients."""

K_BEST = 15
PERMUTED = {"logistic_regression": 30, NETWORK: 10}
"""(d): permutations of each model."""

ASKED = "asked.json"
"""In a run's folder: what it was asked, and the environment that it was measured in."""

TENFOLD = ["split=k_fold", "split.n_folds=10", "split.fold=all", "split.validation_fraction=0"]


def setting_of(model: str, name: str, value: object) -> str:
    """A setting that the network has in its task and classical models by themselves."""
    return f"model.{'task.' if model == NETWORK else ''}{name}={value}"


def features_of(model: str, names: list[str] | str) -> list[str]:
    """The setting that chooses features."""
    given = names if isinstance(names, str) else "[" + ",".join(names) + "]"
    return [setting_of(model, "features", given)]


def finished(folder: Path) -> bool:
    """Whether a cross-validation is done."""
    return (folder / "report.html").is_file()


def cross_validated(name: str, overrides: list[str]) -> None:
    """A cross-validation of `train.py`, with what it was asked and measured in; done once.

    Raises:
        SystemExit: the folder holds one with other settings.
    """
    folder = RUNS / name
    record = folder / ASKED
    if record.is_file() and json.loads(record.read_text())["overrides"] != overrides:
        sys.exit(f"{folder} holds a run of other settings: delete it to train again.")
    if finished(folder) and record.is_file():
        return
    if folder.is_dir() and not record.is_file():
        sys.exit(f"{folder} does not say what it was asked: delete it to train again.")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(record, {"overrides": overrides, "environment": environment()})
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*TENFOLD, *overrides, "evaluation.n_bootstrap=200"])
    plain: Any = OmegaConf.to_container(config, resolve=False)
    plain.pop("hydra", None)
    plain = OmegaConf.to_container(OmegaConf.create({**plain, "name": "study"}), resolve=True)
    whole_run(plain, folder)


def repeated(times: int) -> str:
    """The setting that repeats a cross-validation, each time with other folds."""
    return f"cross_validation.repeats={times}"


def _of_labs(outcome: str, after_days: str) -> list[str]:
    return [
        "data=clinical", f"data.source.path={LABS}", "data.mapping=wuhan_2020",
        f"data.after_days={after_days}", f"label_rule={outcome}",
    ]  # fmt: skip


def _has_labs(part: str) -> bool:
    if not LABS.is_file():
        print(f"{part} needs {LABS.name}: set COVIDLIT_SHARED to the folder with data/clinical.")
    return LABS.is_file()


def sets_of(model: str) -> dict[str, list[str]]:
    """The sets of features that a model is given in (b): one variable is of laboratory values."""
    return {key: own for key, own in FEATURES.items() if model != "best_single" or key == "labs"}


def folder_of(part: str, what: str, model: str) -> Path:
    """Where a cross-validation of (b) lies, with its repeats."""
    return RUNS / part / what.replace(" ", "_") / model


def labs() -> None:
    """(b): first values, all models on the same folds, five times."""
    _of_death("labs", MODELS, [])


def tuned() -> None:
    """(b): the peers again, their parameters chosen inside each training part."""
    _of_death("tuned", PEERS, ["model.tune=true", "model.search.outer_folds=0"])


def _of_death(part: str, models: tuple[str, ...], further: list[str]) -> None:
    for model in models if _has_labs("(b)") else ():
        for what, names in sets_of(model).items():
            chosen = [
                f"model={model}", *_of_labs("died", "null"), repeated(REPEATS),
                *features_of(model, names), *further,
            ]  # fmt: skip
            cross_validated(str(folder_of(part, what, model).relative_to(RUNS)), chosen)


def prognosis() -> None:
    """(b): time to death from the values of the day of admission, a discharge alive competing.

    A run for each repeat: what is learnt of times is not evaluated over repeats in one.
    """
    for seed in range(REPEATS) if _has_labs("(b), prognosis,") else ():
        for model in PROGNOSIS:
            chosen = [
                f"model={model}", *_of_labs("endpoint", "1"), f"split.seed={seed}", f"seed={seed}",
                "label_rule.competing=[survived]", f"model.horizons={list(HORIZONS)}",
                *features_of(model, FEATURES["labs and age"]),
            ]  # fmt: skip
            cross_validated(f"prognosis/{model}/{seed}", chosen)


def _of_paper(path: Path, factors: Path, seed: int) -> list[str]:
    return [
        "data=clinical", f"data.source.path={path}", f"data.factors={factors}",
        "label_rule=severe", f"split.seed={seed}", f"seed={seed}",
    ]  # fmt: skip


def paper() -> None:
    """(a): 70 severe and 70 other patients, imaging, clinical, both, and 15 of 28, tenfold."""
    table, factors = synthetic_cohort(PAPER)
    for names in SETS:
        for model in (NETWORK, "logistic_regression"):
            chosen = [f"model={model}", *_of_paper(table, factors, 0), *features_of(model, names)]
            cross_validated(f"paper/{names}/{model}", chosen)
    best = [setting_of(NETWORK, "k_best", K_BEST), *features_of(NETWORK, "all28")]
    cross_validated(
        "paper/best15/fusion_ann", [f"model={NETWORK}", *_of_paper(table, factors, 0), *best]
    )
    shortcut = features_of(NETWORK, selected_on_all(table, factors, K_BEST))
    given = [f"model={NETWORK}", *_of_paper(table, factors, 0), *shortcut]
    cross_validated(f"paper/shortcut15/{NETWORK}", given)


def curve() -> None:
    """(c): growing numbers of patients of one larger synthetic cohort."""
    table, factors = synthetic_cohort(max(SIZES))
    for size in SIZES:
        own = some_patients(table, size)
        for model in (NETWORK, "logistic_regression"):
            chosen = [
                f"model={model}",
                *_of_paper(own, factors, 0),
                *features_of(model, "all28"),
                repeated(2),
            ]
            cross_validated(f"curve/{size}/{model}", chosen)


def permuted() -> None:
    """(d): labels permuted among the patients, selected inside the folds and on all patients."""
    table, factors = synthetic_cohort(PAPER)
    for model, times in PERMUTED.items():
        for number in range(times):
            own = permuted_table(table, number)
            given = [f"model={model}", *_of_paper(own, factors, number)]
            inside = [*features_of(model, "all28"), setting_of(model, "k_best", K_BEST)]
            cross_validated(f"permuted/inside/{model}/{number}", [*given, *inside])
            shortcut = features_of(model, selected_on_all(own, factors, K_BEST))
            cross_validated(f"permuted/shortcut/{model}/{number}", [*given, *shortcut])


STUDIES = {
    "paper": paper, "labs": labs, "tuned": tuned, "prognosis": prognosis, "curve": curve,
    "permuted": permuted,
}  # fmt: skip
