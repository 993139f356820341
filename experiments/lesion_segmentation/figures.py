"""The study's pictures: learning curves, slices with contours, agreement of factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from agreement import bland_altman
from numpy.typing import NDArray

from covidlit.scans.run_length import decode_masks

mpl.use("Agg")

import matplotlib.pyplot as plt

COLOURS = ("#00c5ff", "#ffd400", "#ff5a36", "#7dff7a", "#ff8df2", "#b08cff")


def learning_curves(curves: Mapping[str, Sequence[dict[str, Any]]], path: Path) -> None:
    """Loss of the training and Dice of the validation part against processor seconds."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2))
    for name, curve in curves.items():
        table = pd.DataFrame(curve)
        for axis, column in zip(axes, ("train_loss", "val_dice"), strict=True):
            if column in table:
                own = table.dropna(subset=[column])
                axis.plot(own["seconds"], own[column], marker="o", ms=3, label=name)
    for axis, label in zip(axes, ("loss, training", "Dice of lesions, validation"), strict=True):
        axis.set(xlabel="processor seconds", ylabel=label)
        axis.grid(alpha=0.3)
    axes[1].set_ylim(0, 1)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", fontsize=8)
    _save(figure, path)


def examples(
    images: Sequence[NDArray[Any]],
    rows: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    path: Path,
) -> None:
    """Slices with the true contours above and the predicted ones of the semantic branch below.

    Args:
        images: (rows, columns) each.
        rows: of the table of slices, with run lengths of each class.
        classes: their names.
    """
    figure, axes = plt.subplots(2, len(images), figsize=(2.9 * len(images), 6.4), squeeze=False)
    for place, (image, row) in enumerate(zip(images, rows, strict=True)):
        for axis, kind in zip(axes[:, place], ("truth", "predicted"), strict=True):
            axis.imshow(image, cmap="gray", interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            for name, colour in zip(classes, COLOURS, strict=False):
                mask = decode_masks([row[f"{kind}_{name}"]], image.shape)[0]
                if mask.any():
                    axis.contour(mask, [0.5], colors=colour, linewidths=1.0)
            if place == 0:
                axis.set_ylabel({"truth": "true", "predicted": "predicted"}[kind])
    handles = [
        plt.Line2D([], [], color=colour, label=name.replace("_", " "))
        for name, colour in zip(classes, COLOURS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(classes), fontsize=8)
    _save(figure, path)


def agreement_plot(table: pd.DataFrame, names: Mapping[str, str], path: Path) -> None:
    """Bland-Altman of factors: predicted minus true against their mean, by kind of labels."""
    true = table[table["source"] == "true"].set_index("scan_id")
    sources = [each for each in table["source"].unique() if each != "true"]
    size = (3.6 * len(names), 3.2 * len(sources))
    figure, axes = plt.subplots(len(sources), len(names), figsize=size, squeeze=False)
    for line, source in zip(axes, sources, strict=True):
        own = table[table["source"] == source].set_index("scan_id")
        for axis, (name, label) in zip(line, names.items(), strict=True):
            pair = pd.concat([true[name], own[name]], axis=1, keys=["true", "own"]).dropna()
            axis.scatter(pair.mean(axis=1), pair["own"] - pair["true"], s=16)
            limits = bland_altman(pair["true"].to_numpy(float), pair["own"].to_numpy(float))
            for value, style in zip(limits.values(), ("-", "--", "--"), strict=True):
                axis.axhline(value, ls=style, color="0.3", lw=1)
            axis.axhline(0, color="0.8", lw=0.8, zorder=0)
            axis.set(title=f"{label}\nfrom {source}", xlabel="mean", ylabel="predicted - true")
    _save(figure, path)


def dice_by_case(dice: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Dice of lesions of each held-out case, one point per network."""
    figure, axis = plt.subplots(figsize=(7, 3.6))
    cases = sorted(next(iter(dice.values())))
    for name, own in dice.items():
        axis.plot(cases, [own[case] for case in cases], marker="o", ls="", label=name)
    low = [min(own[case] for own in dice.values()) for case in cases]
    high = [max(own[case] for own in dice.values()) for case in cases]
    axis.vlines(np.arange(len(cases)), low, high, color="0.8", zorder=0)
    axis.set(ylabel="Dice of lesions, held-out case", ylim=(0, 1))
    axis.legend()
    axis.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.set_layout_engine("constrained")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
