"""Figures, tables and pictures of the study, from the runs that are finished."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import recipe
from compared import Compared, aucs_of, compared, mean_of, single
from studies import (
    ASKED,
    FEATURES,
    HORIZONS,
    K_BEST,
    MODELS,
    NETWORK,
    PERMUTED,
    PROGNOSIS,
    REPEATS,
    RUNS,
    SETS,
    SIZES,
    finished,
    folder_of,
    sets_of,
)
from survival_compared import of_prognosis

from covidlit.files import write_json, write_text

HERE = recipe.PATH.parent
SELECTED = {"inside": "inside the folds", "shortcut": "on all patients"}
Figure = dict[str, Any]


def write() -> list[Figure]:
    """`results.json`, `tables.md` and the pictures.

    Raises:
        SystemExit: nothing has been run.
    """
    figures: list[Figure] = []
    text = ["Written by `run.py report`; do not edit.", ""]
    measured_with = environment_of(RUNS.rglob(ASKED))
    for part in (_recipe, _paper, _labs, _prognosis, _curve, _permuted):
        own, lines = part()
        figures += own
        text += lines
    write_json(HERE / "results.json", {"environment": measured_with, "figures": figures})
    write_text(HERE / "tables.md", "\n".join(text) + "\n")
    return figures


def environment_of(records: Iterable[Path]) -> dict[str, Any]:
    """The environment of the runs that are finished, with all their commits.

    Raises:
        SystemExit: there are none.
    """
    found = [json.loads(path.read_text())["environment"] for path in sorted(records)
             if finished(path.parent)]  # fmt: skip
    if not found:
        raise SystemExit(f"no cross-validation is finished in {RUNS}: run a part first.")
    return found[-1] | {"commit": ", ".join(sorted({str(own["commit"]) for own in found}))}


def figure(
    what: str, value: float, part: str, target: str | None = None, peer: str | None = None
) -> Figure:
    """A figure in the form of all studies."""
    return {
        "figure": what, "value": round(float(value), 4), "unit": "1", "target": target,
        "peer": peer, "command": f"python experiments/severity_fusion/run.py {part}",
    }  # fmt: skip


def _recipe() -> tuple[list[Figure], list[str]]:
    means = recipe.means()
    if not means:
        return [], []
    rows = [f"| {name} | {value:.4f} |" for name, value in means.items()]
    return [], [
        "## Settings, on tables of other fields", "",
        "Mean AUC of 8 tables, fivefold.", "", "| setting | AUC |", "| --- | --- |", *rows, "",
    ]  # fmt: skip


def _paper() -> tuple[list[Figure], list[str]]:
    figures, rows = [], []
    names = [*((each, NETWORK) for each in SETS), *((each, "logistic_regression") for each in SETS),
             ("best15", NETWORK), ("shortcut15", NETWORK)]  # fmt: skip
    found = {key: single(RUNS / "paper" / "/".join(key)) for key in names}
    found = {key: value for key, value in found.items() if value is not None}
    for (features, model), own in found.items():
        rows.append(f"| {features} | {model} | {own.text()} |")
        figures.append(figure(f"paper's design, {features}, {model}: AUC", own.value, "paper",
                              peer="the severity paper: 0.761"))  # fmt: skip
    lines = ["## (a) 140 synthetic patients, tenfold", "", "| features | model | AUC |",
             "| --- | --- | --- |", *rows, ""]  # fmt: skip
    pairs = [("all28", "imaging"), ("all28", "clinical"), ("best15", "all28"),
             ("shortcut15", "best15")]  # fmt: skip
    rows = []
    for one, other in pairs:
        if (one, NETWORK) in found and (other, NETWORK) in found:
            apart = compared(RUNS / "paper" / one / NETWORK, RUNS / "paper" / other / NETWORK)
            rows.append(f"| {one} - {other} | {apart.text()} |")
            figures.append(figure(f"paper's design, {one} - {other}: AUC", apart.value, "paper"))
    return figures, [*lines, "| fusion network | difference of AUC |", "| --- | --- |", *rows, ""]


def _labs() -> tuple[list[Figure], list[str]]:
    figures, rows = [], []
    for what in FEATURES:
        folders = {
            (part, model): folder_of(part, what, model)
            for part in ("labs", "tuned")
            for model in MODELS
            if what in sets_of(model)
        }
        found = {key: own for key in folders if (own := single(folders[key])) is not None}
        network = ("labs", NETWORK)
        peers = [key for key in found if key != network]
        if network not in found or not peers:
            continue
        best = max(peers, key=lambda key: found[key].value)
        for key, own in found.items():
            part = key[0]
            apart = compared(folders[network], folders[key]).text() if key != network else ""
            named = _named(*key)
            marked = f"{named} (best peer)" if key == best else named
            rows.append(f"| {what} | {marked} | {own.text()} | {apart} |")
            target = {"labs": ">= 0.945", "labs and age": ">= 0.957"}[what]
            figures.append(figure(f"real labs, {what}, {named}: AUC", own.value, part,
                                  target if key == network else None))  # fmt: skip
        low = compared(folders[network], folders[best]).low
        figures.append(figure(f"real labs, {what}, fusion network - best peer: lower bound", low,
                              best[0], "> -0.01", _named(*best)))  # fmt: skip
    return figures, [
        "## (b) Real laboratory values, outcome death", "",
        "375 patients, first values, tenfold, five times; AUC of all folds together, mean of the "
        "repeats; intervals by drawing patients. Tuned: parameters chosen inside each training "
        "part.", "",
        "| features | model | AUC | network - model |",
        "| --- | --- | --- | --- |", *rows, "",
    ]  # fmt: skip


def _named(part: str, model: str) -> str:
    return f"{model}, tuned" if part == "tuned" else model


def _prognosis() -> tuple[list[Figure], list[str]]:
    figures, rows, said = [], [], ""
    for model in PROGNOSIS:
        folders = [RUNS / "prognosis" / model / str(seed) for seed in range(REPEATS)]
        found = of_prognosis(folders, HORIZONS)
        if found is None:
            continue
        measures, n, n_events = found
        said = f"{n} patients, {n_events} deaths; "
        for name, own in measures.items():
            rows.append(f"| {model} | {name} | {own.text()} |")
            for end, value in (("", own.value), (", lower", own.low), (", upper", own.high)):
                figures.append(figure(f"prognosis, {model}: {name}{end}", value, "prognosis"))
    lines = [
        "## (b) Time to death", "",
        f"{said}values of the day of admission, with age; tenfold, five times; risks are ranked "
        "within their fold, mean of folds and repeats; intervals by drawing patients. A discharge "
        "alive ends what can be seen, or counts as survival (Blanche et al., Statistics "
        "in Medicine 2013;32:5381).", "",
        "| model | measure | value |", "| --- | --- | --- |", *rows, "",
    ]  # fmt: skip
    return figures, lines if rows else []


def _curve() -> tuple[list[Figure], list[str]]:
    points: dict[str, list[tuple[int, Compared]]] = {}
    for model in (NETWORK, "logistic_regression"):
        for size in SIZES:
            own = single(RUNS / "curve" / str(size) / model)
            if own is not None:
                points.setdefault(model, []).append((size, own))
    if not points:
        return [], []
    shown, axis = plt.subplots(figsize=(6, 4))
    rows = []
    for model, found in points.items():
        sizes = np.array([size for size, _ in found])
        values = np.array([[own.low, own.value, own.high] for _, own in found])
        axis.plot(sizes, values[:, 1], marker="o", label=model)
        axis.fill_between(sizes, values[:, 0], values[:, 2], alpha=0.15)
        rows += [f"| {size} | {model} | {own.text()} |" for size, own in found]
    axis.set(xlabel="patients", ylabel="AUC, tenfold", ylim=(0.5, 1.0))
    axis.grid(alpha=0.3)
    axis.legend()
    shown.tight_layout()
    shown.savefig(HERE / "learning_curve.png", dpi=110)
    plt.close(shown)
    return [], ["## (c) How many patients", "", "| patients | model | AUC |", "| --- | --- | --- |",
                *rows, ""]  # fmt: skip


def _permuted() -> tuple[list[Figure], list[str]]:
    figures, rows = [], []
    for model, times in PERMUTED.items():
        folders = {
            way: [RUNS / "permuted" / way / model / str(number) for number in range(times)]
            for way in ("inside", "shortcut")
        }
        if not all(finished(folder) for own in folders.values() for folder in own):
            continue
        aucs = {way: np.array([aucs_of(folder) for folder in own]) for way, own in folders.items()}
        for place, kind in enumerate(("mean of folds", "all folds together")):
            cells = []
            for way, target in (("inside", "0.47 to 0.53"), ("shortcut", None)):
                own = mean_of(aucs[way][:, place])
                cells.append(own.text())
                named = f"permuted labels, {model}, {K_BEST} selected {SELECTED[way]}: {kind}"
                figures.append(figure(named, own.value, "permuted", target if place == 0 else None))
            apart = mean_of(aucs["shortcut"][:, place] - aucs["inside"][:, place])
            rows.append(f"| {model} | {times} | {kind} | {' | '.join([*cells, apart.text()])} |")
            for end, value in (("", apart.value), (", lower", apart.low), (", upper", apart.high)):
                named = f"permuted labels, {model}, shortcut - inside: {kind}{end}"
                figures.append(figure(named, value, "permuted"))
    lines = [
        "## (d) Labels that mean nothing", "",
        f"{K_BEST} of 28 features selected inside the folds, or on all patients (the shortcut); "
        "mean AUC of the permutations, their paired difference, intervals by Student's t.", "",
        "| model | permutations | AUC | inside | shortcut | shortcut - inside |",
        "| --- | --- | --- | --- | --- | --- |", *rows, "",
    ]  # fmt: skip
    return figures, lines if rows else []
