"""Figures, tables and results of the study, from what its steps have kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from results import ROOT
from sweeps import study_of

from covidlit.evaluation.figures import BLUE, GREY, ORANGE, WIDE, svg_figure, svg_text
from covidlit.files import write_json, write_text
from covidlit.sweep.page_figures import curves_figure
from covidlit.sweep.summary import summarise

METRIC = "validation AUC"


def write(
    whole: dict[str, Any],
    again: dict[str, Any],
    tried: dict[str, Any],
    pruned: dict[str, Any],
    *,
    least_saved: float,
    subset: int,
    folder: Path,
) -> None:
    """Write `results.json`, `tables.md`, `replay.svg`, `unpruned.svg` and `live.svg`.

    Args:
        whole: the unpruned sweep, as `sweeps.sweep` keeps it.
        again: the replay, as `run.replay_all` returns it.
        tried: the rules on all sweeps, as `run.rules` returns them.
        pruned: the live sweep.
        least_saved: the target, a share of the epochs.
        subset: how many trials `best_of_subset` is of.
        folder: of the study.
    """
    figures = [
        *replay_figures(again, least_saved, subset),
        *rule_figures(tried, least_saved),
        *live_figures(whole, pruned, again, least_saved),
    ]
    commits = sorted({str(part["environment"]["commit"]) for part in (whole, pruned)})
    environment = pruned["environment"] | {"commit": ", ".join(commits)}
    write_json(folder / "results.json", {"environment": environment, "figures": figures})
    told = [figure for figure in figures if not figure["command"].endswith("rules")]
    write_text(folder / "tables.md", f"{tables(told)}\n{rule_table(tried)}")
    write_text(folder / "replay.svg", replay_figure(again))
    for name, record in (("unpruned", whole), ("live", pruned)):
        drawn = curves_figure(summarise(study_of(record)), METRIC, "epoch", synthetic=True)
        if drawn is not None:
            write_text(folder / f"{name}.svg", drawn)
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} (target {figure['target']})")
    print(f"written: {(folder / 'results.json').relative_to(ROOT)}")


def replay_figures(again: dict[str, Any], least_saved: float, subset: int) -> list[dict[str, Any]]:
    """What each pruner saved and lost in the replay, and the spread to hold the loss against."""
    spread = float(np.std(again["best_of_subset"], ddof=1))
    n = len(again["best_of_subset"])
    found = [
        _figure(f"best value without pruning, SD over {n} draws of {subset} trials", spread, "1",
                None, "replay")
    ]  # fmt: skip
    for name, runs in again["pruners"].items():
        found += _saved_and_lost(name, runs, least_saved, spread, "replay")
    return found


def rule_figures(tried: dict[str, dict[str, Any]], least_saved: float) -> list[dict[str, Any]]:
    """What each rule saved and lost on each of the sweeps."""
    found = []
    for sweep, record in tried.items():
        spread = float(np.std(record["best_of_subset"], ddof=1))
        for rule, runs in record["rules"].items():
            found += [
                _figure(f"epochs saved on the {sweep} sweep, {rule}", runs["saved"], "share",
                        f">= {least_saved}", "rules"),
                _figure(f"best value lost on the {sweep} sweep, {rule} (none lost in"
                        f" {runs['nothing_lost_in']})", runs["lost"], "1", f"<= {spread:.4f}",
                        "rules"),
            ]  # fmt: skip
    return found


def rule_table(tried: dict[str, dict[str, Any]]) -> str:
    """Of each rule and sweep the share of epochs saved and the best value lost, in Markdown."""
    rows = [
        "| "
        + " | ".join(
            [rule]
            + [
                f"{100 * record['rules'][rule]['saved']:.0f}%, {record['rules'][rule]['lost']:.4f}"
                for record in tried.values()
            ]
        )
        + " |"
        for rule in tried["unpruned"]["rules"]
    ]
    head = f"| saved, lost | {' | '.join(tried)} |\n|---|{'---|' * len(tried)}"
    return "\n".join([head, *rows]) + "\n"


def _saved_and_lost(
    name: str, runs: dict[str, Any], least_saved: float, spread: float, step: str
) -> list[dict[str, Any]]:
    saved, lost = np.array(runs["saved"]), np.array(runs["lost"])
    return [
        _figure(f"epochs saved by {name}, replayed in {len(saved)} orders, mean"
                f" (SD {saved.std():.3f})",
                float(saved.mean()), "share", f">= {least_saved}", step),
        _figure(f"best value lost by {name}, replayed in {len(lost)} orders, mean"
                f" (SD {lost.std():.4f}, none lost in {int((lost <= 0).sum())})",
                float(lost.mean()), "1", f"<= {spread:.4f}", step),
    ]  # fmt: skip


def live_figures(
    whole: dict[str, Any], pruned: dict[str, Any], again: dict[str, Any], least_saved: float
) -> list[dict[str, Any]]:
    """What the live sweep saved of the unpruned one, which drew the same configurations."""
    spread = float(np.std(again["best_of_subset"], ddof=1))
    name = again["chosen"]
    epochs = [_epochs(record) for record in (whole, pruned)]
    best = [_best(record) for record in (whole, pruned)]
    n_pruned = sum(trial["outcome"] == "pruned" for trial in pruned["trials"])
    seconds = [record["seconds"] for record in (whole, pruned)]
    found = [
        _figure(f"epochs saved by {name}, live sweep ({epochs[1]} of {epochs[0]}, {n_pruned} trials"
                " pruned)", 1 - epochs[1] / epochs[0], "share", f">= {least_saved}", "live"),
        _figure(f"best value lost by {name}, live sweep ({best[1]:.4f} for {best[0]:.4f})",
                best[0] - best[1], "1", f"<= {spread:.4f}", "live"),
        _figure("time saved, live sweep (other load on the machine moves it)",
                1 - seconds[1] / seconds[0], "share", None, "live"),
    ]  # fmt: skip
    if whole["standard_error"] is not None:
        found.append(
            _figure(f"standard error of the best value, {whole['n_validation']} validation scans",
                    whole["standard_error"], "1", None, "unpruned")
        )  # fmt: skip
    return found


def _figure(name: str, value: float, unit: str, target: str | None, step: str) -> dict[str, Any]:
    command = f"python experiments/sweep_csacnet/run.py {step}"
    return {
        "figure": name, "value": round(value, 4), "unit": unit, "target": target, "peer": None,
        "command": command,
    }  # fmt: skip


def _epochs(record: dict[str, Any]) -> int:
    return sum(trial["epochs"] or 0 for trial in record["trials"])


def _best(record: dict[str, Any]) -> float:
    return max(t["value"] for t in record["trials"] if t["outcome"] == "finished")


def tables(figures: list[dict[str, Any]]) -> str:
    """The figures as a table in Markdown."""
    rows = [
        f"| {figure['figure']} | {figure['value']} | {figure['target'] or '–'} |"
        for figure in figures
    ]
    return "\n".join(["| figure | value | target |", "|---|---|---|", *rows]) + "\n"


def replay_figure(again: dict[str, Any]) -> str:
    """Epochs saved and best value lost in each order, one colour for each pruner."""
    with svg_figure((WIDE, 3.4), "replay") as figure:
        axes = figure.add_subplot()
        spread = float(np.std(again["best_of_subset"], ddof=1))
        axes.axhline(spread, color=GREY, lw=0.9, ls="--", label="spread without pruning")
        for colour, (name, runs) in zip((BLUE, ORANGE), again["pruners"].items(), strict=True):
            saved = 100 * np.array(runs["saved"])
            axes.plot(saved, runs["lost"], "o", color=colour, alpha=0.45, ms=6, label=name)
        axes.set(xlabel="epochs saved, %", ylabel="best validation AUC lost", xlim=(0, 100))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        return svg_text(figure, "replay", "Epochs saved and best value lost", synthetic=True)
