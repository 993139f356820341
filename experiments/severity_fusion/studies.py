"""What is run: each a cross-validation of `python train.py`, in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
from cohorts import PAPER, permuted_table, some_patients, synthetic_cohort
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from shortcut import selected_on_all

from covidlit.cli.train import whole_run
from covidlit.settings.tree import config_dir

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "runs" / "experiments" / "severity_fusion"
SHARED = Path(os.environ.get("COVIDLIT_SHARED", ROOT.parent / "shared"))
LABS = SHARED / "data" / "clinical" / "hairlab_375.xlsx"

NETWORK = "fusion_ann"
PEERS = ("logistic_regression", "best_single", "svm", "random_forest", "lightgbm")
MODELS = (NETWORK, *PEERS)
REPEATS = 5

FEATURES = {"labs": ["clinical"], "labs and age": ["clinical", "age"]}
"""(b): the 16 of the paper's 17 indicators that the table has; age stands beside every model."""

SETS = ("imaging", "clinical", "all28", "paper15")
"""(a): presets of features."""

SIZES = (40, 60, 90, 140, 200, 280)
"""(c): patients."""

TENFOLD = ["split=k_fold", "split.n_folds=10", "split.fold=all", "split.validation_fraction=0"]


def features_of(model: str, names: list[str] | str | None) -> list[str]:
    """The setting that chooses features."""
    if names is None:
        return []
    key = "model.task.features" if model == NETWORK else "model.features"
    given = names if isinstance(names, str) else "[" + ",".join(names) + "]"
    return [f"{key}={given}"]


def cross_validated(name: str, overrides: list[str]) -> pd.DataFrame:
    """Predictions of the test parts of a cross-validation; done once."""
    folder = RUNS / name
    table = folder / "predictions.parquet"
    if not (folder / "report.html").is_file():
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*TENFOLD, *overrides, "evaluation.n_bootstrap=200"])
        plain: Any = OmegaConf.to_container(config, resolve=False)
        plain.pop("hydra", None)
        plain = OmegaConf.to_container(OmegaConf.create({**plain, "name": "study"}), resolve=True)
        whole_run(plain, folder)
    found = pd.read_parquet(table)
    return found[found["part"] == "test"]


def repeated(times: int) -> str:
    """The setting that repeats a cross-validation, each time with other folds."""
    return f"cross_validation.repeats={times}"


def _of_labs() -> list[str]:
    return [
        "data=clinical", f"data.source.path={LABS}", "data.mapping=wuhan_2020",
        "data.after_days=null", "label_rule=died", repeated(REPEATS),
    ]  # fmt: skip


def labs() -> None:
    """(b): first values, all models on the same folds, five times."""
    if not LABS.is_file():
        print(f"(b) needs {LABS.name}: set COVIDLIT_SHARED to the folder that holds data/clinical.")
        return
    for what, names in FEATURES.items():
        for model in MODELS:
            if model == "best_single" and what != "labs":
                continue
            chosen = [f"model={model}", *_of_labs(), *features_of(model, names)]
            cross_validated(f"labs/{what.replace(' ', '_')}/{model}", chosen)


def _of_paper(path: Path, factors: Path, seed: int) -> list[str]:
    return [
        "data=clinical", f"data.source.path={path}", f"data.factors={factors}",
        "label_rule=severe", "split=k_fold", f"split.seed={seed}", f"seed={seed}",
    ]  # fmt: skip


def paper() -> None:
    """(a): 70 severe and 70 other patients, imaging, clinical, both, and 15 of 28, tenfold."""
    table, factors = synthetic_cohort(PAPER)
    for names in SETS:
        for model in (NETWORK, "logistic_regression"):
            chosen = [f"model={model}", *_of_paper(table, factors, 0), *features_of(model, names)]
            cross_validated(f"paper/{names}/{model}", chosen)
    best = ["model.task.k_best=15", *features_of(NETWORK, "all28")]
    cross_validated(
        "paper/best15/fusion_ann", [f"model={NETWORK}", *_of_paper(table, factors, 0), *best]
    )
    shortcut = features_of(NETWORK, selected_on_all(table, factors, 15))
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
    """(d): labels permuted among the patients, 30 times for a fast peer and 5 for the network."""
    table, factors = synthetic_cohort(PAPER)
    for model, times in (("logistic_regression", 30), (NETWORK, 5)):
        for number in range(times):
            own = permuted_table(table, number)
            chosen = [
                f"model={model}",
                *_of_paper(own, factors, number),
                *features_of(model, "all28"),
            ]
            extra = ["model.task.k_best=15"] if model == NETWORK else []
            cross_validated(f"permuted/{model}/{number}", [*chosen, *extra])
            if model == NETWORK:
                names = features_of(NETWORK, selected_on_all(own, factors, 15))
                given = [f"model={NETWORK}", *_of_paper(own, factors, number), *names]
                cross_validated(f"permuted/shortcut/{number}", given)


STUDIES = {"paper": paper, "labs": labs, "curve": curve, "permuted": permuted}
