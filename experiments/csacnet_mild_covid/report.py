"""Tables and figures of the study, from the runs that are finished and kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from results import ROOT, Run, auc, composed, keep

COMPARED = ("csacnet", "resnet3d", "svm", "random_forest")
PAIRS = {
    ("csacnet", "resnet3d"): "> 0",
    **{(net, baseline): "> 0" for net in COMPARED[:2] for baseline in COMPARED[2:]},
}


def covidlit(*words: object) -> None:
    """Run a command of covidlit in the project's folder.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "covidlit", *map(str, words)], cwd=ROOT, check=True)


def heatmaps(name: str, run_dir: Path, manifest: Path, kept: Path) -> dict[str, Any]:
    """What the heatmaps of a CSAC-Net run are worth on its held-out centre; made if they are not.

    Args:
        name: of the run.
        run_dir: the folder it was trained in, on this machine.
        manifest: of the cohort; its lesion labels lie beside it.
        kept: the folder of the study for this run.
    """
    result = kept / "localisation.json"
    if not result.is_file():
        out = run_dir / "heatmaps"
        run, truth = run_dir.relative_to(ROOT), manifest.parent / "truth"
        print(f"Heatmaps of {name} ...")
        covidlit("explain", run, "--out", out.relative_to(ROOT), "--truth", truth)
        shutil.copyfile(out / "localisation.json", result)
    return json.loads(result.read_text())


def flops(overrides: list[str]) -> str:
    """Operations of one volume, in 10^9; "-" for a classical model."""
    import torch
    from hydra.utils import instantiate

    from covidlit.cards.network_facts import count_flops

    tree = composed(overrides)
    if "task" not in tree.model:
        return "-"
    with torch.device("meta"):
        net = instantiate(tree.model.task.net).eval()
        volume = torch.empty(1, 1, *tree.data.geometry.size)
    return f"{count_flops(net, volume) / 1e9:.2f}"


def write(
    folder: Path,
    command: str,
    runs: Mapping[str, Run],
    located: Mapping[str, dict[str, Any]],
    models: Mapping[str, list[str]],
    trained: Path,
) -> None:
    """Write the comparison, the paper's tables, `results.json` and `tables.md`.

    Args:
        folder: of the study.
        command: that writes them.
        runs: of `compare`, by "<model>_<seed>".
        located: `localisation.json` of the CSAC-Net runs.
        models: the overrides that make each model.
        trained: the folder in which CSAC-Net was trained with the first seed.
    """
    folders = [run.folder.relative_to(ROOT) for run in runs.values()]
    here = folder.relative_to(ROOT)
    title = "CSAC-Net, 3D ResNet, SVM and random forest on a synthetic cohort"
    covidlit("compare", *folders, "--out", here / "comparison", "--title", title)
    # The first one's own folder, where it was trained: Figures 3 and 4 need its checkpoint.
    first = {model: runs[f"{model}_1"].folder for model in COMPARED} | {"csacnet": trained}
    named = [f"{model}={folder.relative_to(ROOT)}" for model, folder in first.items()]
    covidlit("paper", *named, "--out", here / "paper")
    comparison = json.loads((folder / "comparison" / "comparison.json").read_text())
    found = [*_aucs(runs), *_differences(comparison), *_hit_rates(located)]
    figures = [{**figure, "command": command} for figure in found]
    keep(folder / "results.json", figures, list(runs.values()))
    (folder / "tables.md").write_text(_tables(runs, comparison, located, models))


def figure(what: str, value: float, target: str | None, unit: str = "1") -> dict[str, Any]:
    """One entry of `results.json`, but for the command."""
    return {
        "figure": what, "value": round(value, 4), "unit": unit, "target": target, "peer": None
    }  # fmt: skip


def _aucs(runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    figures = []
    for name, run in runs.items():
        result = auc(run)
        interval = f"95% CI {result['low']:.3f} to {result['high']:.3f}"
        target = "<= 0.85" if name.startswith(("svm", "random_forest")) else None
        what = f"AUC, {name}; {interval}; held-out centre, {result['n']} scans"
        figures.append(figure(what, result["value"], target))
    return figures


def _differences(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    figures = []
    for test in comparison["tests"]:
        target = PAIRS.get((test["first"], test["second"]))
        if test["measure"] == "auc" and target is not None:
            d = test["difference"]
            what = (
                f"AUC of {test['first']} minus {test['second']}, scores averaged over seeds; "
                f"95% CI {d['low']:.3f} to {d['high']:.3f}, Holm p {test['p_holm']:.2g}"
            )
            figures.append(figure(what, d["value"], target))
    return figures


def _hit_rates(located: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    figures = []
    for name, found in located.items():
        rates = found["true_positives"]
        for key, text, target in (
            ("hit_rate", "hit rate of heatmaps in true positives", ">= 0.6"),
            ("times_chance", "the same, times chance", ">= 3"),
            ("others_heat", "hit rate of other scans' heat in the same bodies", None),
        ):
            rate = rates[key]
            what = f"{name}: {text}; 95% CI {rate['low']:.2f} to {rate['high']:.2f}, n {rate['n']}"
            figures.append(figure(what, rate["value"], target))
        claim = found["claim"]["auc"]
        what = f"{name}: AUC of the largest heat for positive against negative scans"
        figures.append(figure(what, claim["value"], None))
    return figures


def _tables(
    runs: Mapping[str, Run],
    comparison: dict[str, Any],
    located: Mapping[str, dict[str, Any]],
    models: Mapping[str, list[str]],
) -> str:
    rows = []
    for model in comparison["models"]:
        name, over = model["model"], model["auc_over_seeds"]
        of_model = [run for run_name, run in runs.items() if run_name.rpartition("_")[0] == name]
        facts = of_model[0].metrics["record"]["model"]
        once = [run.spent for run in of_model if run.spent["starts"] == 1]
        rows.append(
            {
                "model": name,
                "AUC, seeds averaged (95% CI)": _text(model["auc"]),
                "AUC over seeds, mean ± SD": f"{over['mean']:.3f} ± {over['sd']:.3f}",
                "sensitivity": _text(model["sensitivity"], percent=True),
                "specificity": _text(model["specificity"], percent=True),
                "parameters": facts.get("trainable parameters", "-"),
                "GFLOPs per volume": flops(models[name]),
                "wall min": _minutes(once, "wall"),
                "CPU min": _minutes(once, "cpu"),
            }
        )
    tests = [
        {
            "difference": f"{t['first']} - {t['second']}",
            "AUC": _text(t["difference"]),
            "p": f"{t['p_value']:.2g}",
            "Holm p": f"{t['p_holm']:.2g}",
        }
        for t in comparison["tests"]
        if t["measure"] == "auc"
    ]
    heat = [
        {"run": name, "in words": " ".join(found["sentences"])} for name, found in located.items()
    ]
    parts = ["Models", rows], ["AUC differences, paired DeLong", tests], ["Heatmaps", heat]
    text = "\n\n".join(f"## {head}\n\n{_markdown(pd.DataFrame(part))}" for head, part in parts)
    return f"Synthetic data. Written by `run.py report`; do not edit.\n\n{text}\n"


def _minutes(spent: list[dict[str, float]], kind: str) -> str:
    """Mean minutes of the runs that were trained in one go."""
    return f"{sum(s[kind] for s in spent) / len(spent) / 60:.1f}" if spent else "-"


def _text(estimate: dict[str, Any], *, percent: bool = False) -> str:
    scale, digits = (100, 1) if percent else (1, 3)
    value, low, high = (scale * estimate[key] for key in ("value", "low", "high"))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [list(map(str, row)) for row in table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
