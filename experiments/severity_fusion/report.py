"""Figures, tables and pictures of the study, from the runs that are finished."""

from __future__ import annotations

from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import recipe
from compared import Compared, compared, single
from studies import FEATURES, MODELS, NETWORK, RUNS, SETS, SIZES

from covidlit.files import write_json, write_text

HERE = recipe.PATH.parent
Figure = dict[str, Any]


def write() -> list[Figure]:
    """`results.json`, `tables.md` and the pictures."""
    figures: list[Figure] = []
    text = ["Written by `run.py report`; do not edit.", ""]
    for part in (_recipe, _paper, _labs, _curve, _permuted):
        own, lines = part()
        figures += own
        text += lines
    write_json(HERE / "results.json", {"figures": figures})
    write_text(HERE / "tables.md", "\n".join(text) + "\n")
    return figures


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
        folders = {model: RUNS / "labs" / what.replace(" ", "_") / model for model in MODELS}
        found = {m: own for m in MODELS if (own := single(folders[m])) is not None}
        if NETWORK not in found:
            continue
        peers = {m: own for m, own in found.items() if m != NETWORK}
        best = max(peers, key=lambda m: peers[m].value)
        for model, own in found.items():
            apart = compared(folders[NETWORK], folders[model]) if model != NETWORK else None
            said = "" if apart is None else apart.text()
            named = f"{model} (best peer)" if model == best else model
            rows.append(f"| {what} | {named} | {own.text()} | {said} |")
            target = {"labs": ">= 0.945", "labs and age": ">= 0.957"}[what]
            figures.append(figure(f"real labs, {what}, {model}: AUC", own.value, "labs",
                                  target if model == NETWORK else None))  # fmt: skip
        apart = compared(folders[NETWORK], folders[best])
        figures.append(figure(f"real labs, {what}, fusion network - {best}: lower bound", apart.low,
                              "labs", "> -0.01", best))  # fmt: skip
    return figures, [
        "## (b) Real laboratory values, outcome death", "",
        "375 patients, first values, tenfold, five times; AUC of all folds together, mean of the "
        "repeats; intervals by drawing patients.", "",
        "| features | model | AUC | network - model |",
        "| --- | --- | --- | --- |", *rows, "",
    ]  # fmt: skip


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
    for model, times in (("logistic_regression", 30), (NETWORK, 5), ("shortcut", 5)):
        own = [single(RUNS / "permuted" / model / str(number)) for number in range(times)]
        values = [each.value for each in own if each is not None]
        if values:
            mean = float(np.mean(values))
            rows.append(f"| {model} | {len(values)} | {mean:.3f} |")
            target = "0.47 to 0.53" if model == "logistic_regression" else None
            figures.append(figure(f"permuted labels, {model}: mean AUC", mean, "permuted", target))
    lines = ["## (d) Labels that mean nothing", "", "| model | permutations | mean AUC |",
             "| --- | --- | --- |", *rows, ""]  # fmt: skip
    return figures, lines if rows else []
