"""Figures, tables and pictures of the study, from what is finished and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from agreement import bland_altman, by_patient, concordance, dice, mean_dice, paired_dice
from measure import ANY
from metrics import counts_of, is_there, metrics_of
from trainings import FINISHED, HERE, NAMES, STARTS, VARIANTS, kept

from covidlit.files import write_json, write_text

Figure = dict[str, Any]
AGREE = {
    "total_volume_ml": "total volume, mL",
    "proportion_percent": "proportion of lung, %",
    "mean_density_hu": "mean density, HU",
    "max_diameter_3d_mm": "3D diameter, mm",
}
"""Factors with a picture."""

FACTORS = {
    **AGREE, "n_lesions": "number of lesions", "mean_volume_ml": "mean volume, mL",
    "max_diameter_2d_mm": "2D diameter, mm", "edge_clarity_hu_per_mm": "edge clarity, HU/mm",
    "pleural_distance_mm": "pleural distance, mm", "form": "form (sphericity)",
    "lung_volume_ml": "lung volume, mL",
}  # fmt: skip
PREDICTED = ("quantify", "instances", "semantic")
"""See `factors.SOURCES`."""

PAPER = "the severity paper reports 90% and does not define it"


def figure(what: str, value: float, part: str, target: str | None = None, **other: Any) -> Figure:
    """A figure in the form of all studies."""
    return {
        "figure": what,
        "value": round(float(value), 4),
        "unit": other.get("unit", "1"),
        "target": target,
        "peer": other.get("peer"),
        "command": f"python experiments/lesion_segmentation/run.py {part}",
    }


def interval(estimate: Mapping[str, Any], digits: int = 3) -> str:
    """A value with its interval, as text."""
    if estimate.get("value") is None:
        return "-"
    text = f"{estimate['value']:.{digits}f}"
    if estimate.get("low") is None:
        return text
    return f"{text} ({estimate['low']:.{digits}f} to {estimate['high']:.{digits}f})"


def segmentation_rows(names: Sequence[str]) -> list[dict[str, str]]:
    """One row per training: Dice, detection and slices, on its test part."""
    rows = []
    for name in names:
        if not is_there(name):
            continue
        test = metrics_of(name)["parts"]["test"]
        lesion, lung = test["overlap"]["lesion of any class"], test["overlap"]["lung"]
        unet = "unet" in name
        rows.append(
            {
                "training": name,
                "test patients, slices": f"{test['n_patients']}, {test['n_slices']}",
                "lung Dice": interval(lung["dice"]),
                "lesion Dice": interval(lesion["dice"]),
                "lesion Dice of instances": "-" if unet else interval(lesion["dice_of_instances"]),
                "mAP of masks": "-" if unet else interval(test["map"]["mask"]),
                "slices called right": "-" if unet else interval(test["slices"]["accuracy"]),
                "slices with Dice >= 0.5": interval(test["slices"]["agreement"]),
            }
        )
    return rows


def synthetic_figures() -> Iterator[Figure]:
    """(a)."""
    for name in NAMES["synthetic"]:
        yield from synthetic_training(name)


def synthetic_training(training: str) -> Iterator[Figure]:
    """One training of (a)."""
    test = metrics_of(training)["parts"]["test"]
    who = f"{training}, {test['n_patients']} synthetic test patients, {test['n_slices']} slices"
    for name, target in (("lung", ">= 0.97"), ("lesion of any class", ">= 0.80")):
        own = test["overlap"][name]
        yield figure(f"Dice, {name}; 95% CI {interval(own['dice'])}; {who}", own["dice"]["value"],
                     "synthetic", target)  # fmt: skip
        yield figure(f"Dice of instances, {name}; {who}", own["dice_of_instances"]["value"],
                     "synthetic")  # fmt: skip
    for name, own in test["overlap"].items():
        if name not in ("lung", "lesion of any class") and own["dice"]["value"] is not None:
            yield figure(f"Dice, {name}; 95% CI {interval(own['dice'])}; {who}",
                         own["dice"]["value"], "synthetic")  # fmt: skip
    for name in ("mask", "box_50"):
        yield figure(f"mAP, {name}; {who}", test["map"][name]["value"], "synthetic")
    yield figure(f"slices called right; {who}", test["slices"]["accuracy"]["value"], "synthetic",
                 peer=PAPER)  # fmt: skip
    false = test["without_lesion"]
    for name, own in false.items():
        if own["value"] is not None:
            yield figure(f"slices without a lesion: {name}; {who}", own["value"], "synthetic")


def paper_figures() -> Iterator[Figure]:
    """(b)."""
    for start in STARTS:
        name = f"paper_{start}"
        if not is_there(name):
            continue
        test = metrics_of(name)["parts"]["test"]
        who = f"80 slices of 8 patients, {start}; {test['n_slices']} slices of 2 test patients"
        yield figure(f"slices called right; {who}", test["slices"]["accuracy"]["value"], "paper",
                     peer=PAPER)  # fmt: skip
        yield figure(f"slices with Dice >= 0.5; {who}", test["slices"]["agreement"]["value"],
                     "paper", peer=PAPER)  # fmt: skip
        for key in ("lung", "lesion of any class"):
            yield figure(f"Dice, {key}; {who}", test["overlap"][key]["dice"]["value"], "paper")
        yield figure(f"mAP of masks; {who}", test["map"]["mask"]["value"], "paper")


def real_figures() -> Iterator[Figure]:
    """(c)."""
    counts = {net: counts_of(f"real_{net}") for net in ("maskrcnn", "unet")}
    for net, table in counts.items():
        targets = (("lung", ">= 0.93"), (ANY, None)) if net == "maskrcnn" else (
            ("lung", None), (ANY, None))  # fmt: skip
        for name, target in targets:
            found = by_patient(table, lambda rows, name=name: dice(rows, name))
            who = f"{found['n']} held-out cases, {len(table)} real slices"
            yield figure(f"Dice, {name}, {net}; 95% CI {interval(found)}; {who}", found["value"],
                         "real", target)  # fmt: skip
            each = mean_dice(table, name)
            yield figure(f"mean of the cases' Dice, {name}, {net}", each["mean"], "real")
    for name, target in ((ANY, ">= 0"), ("lung", None)):
        found = paired_dice(counts["maskrcnn"], counts["unet"], name)
        yield figure(f"Dice, {name}, Mask R-CNN minus U-Net, paired; 95% CI {interval(found)}",
                     found["value"], "real", target)  # fmt: skip


def factor_figures() -> Iterator[Figure]:
    """(d)."""
    table = pd.read_csv(FINISHED / "factors" / "factors.csv")
    for source in PREDICTED:
        own = table[table["source"] == source]
        for name, target in (("lung", ">= 0.97"), ("lesion", ">= 0.80")):
            found = by_patient(own, lambda rows, name=name: dice(rows, name))
            yield figure(f"Dice of volumes, {name}, from {source}; 95% CI {interval(found)}; "
                         f"{found['n']} synthetic test patients", found["value"], "factors",
                         target)  # fmt: skip
        for name, label in FACTORS.items():
            pair = pairs(table, source, name)
            wanted = ">= 0.95" if name in ("total_volume_ml", "proportion_percent") else None
            yield figure(f"concordance, {label}, from {source}; {len(pair)} scans",
                         concordance(pair[:, 0], pair[:, 1]), "factors", wanted)  # fmt: skip


def healthy_figures() -> Iterator[Figure]:
    """(e)."""
    table = pd.read_csv(FINISHED / "factors" / "healthy.csv")
    for lungs, own in table.groupby("lungs", sort=False):
        lesion = (own["proportion_percent"].fillna(0) * own["lung_volume_ml"]).sum()
        share = lesion / own["lung_volume_ml"].sum()
        yield figure(f"lungs without a lesion called one, {lungs}; {len(own)} scans", share,
                     "factors", "< 1", unit="%")  # fmt: skip


def pairs(table: pd.DataFrame, source: str, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(n, 2) a factor from true and from predicted labels, of scans where both are defined."""
    one, other = (
        table[table["source"] == each].set_index("scan_id")[name] for each in ("true", source)
    )
    return pd.concat([one, other], axis=1).dropna().to_numpy(float)


def factor_rows() -> list[dict[str, str]]:
    """Concordance, bias and limits of agreement of each factor."""
    table = pd.read_csv(FINISHED / "factors" / "factors.csv")
    rows = []
    for source in PREDICTED:
        for name, label in FACTORS.items():
            pair = pairs(table, source, name)
            limits = bland_altman(pair[:, 0], pair[:, 1])
            rows.append(
                {
                    "labels": source,
                    "factor": label,
                    "scans": str(len(pair)),
                    "concordance": f"{concordance(pair[:, 0], pair[:, 1]):.3f}",
                    "mean of the truth": f"{pair[:, 0].mean():.3g}",
                    "bias": f"{limits['bias']:.3g}",
                    "limits of agreement": f"{limits['low']:.3g} to {limits['high']:.3g}",
                }
            )
    return rows


def fold_rows() -> list[dict[str, str]]:
    """Dice of each finished fold of the real slices, on its held-out cases."""
    rows = []
    for name in NAMES["real"]:
        if is_there(name):
            table = counts_of(name)
            rows.append(
                {
                    "training": name,
                    "held-out cases": ", ".join(sorted(table["patient_id"].unique())),
                    "lung Dice": f"{dice(table, 'lung'):.3f}",
                    "lesion Dice": f"{dice(table, ANY):.3f}",
                    "mean of the cases' lesion Dice": f"{mean_dice(table, ANY)['mean']:.3f}",
                }
            )
    return rows


def tuning_rows() -> list[dict[str, str]]:
    """What was tried for the real slices: Dice of the validation case of the first fold."""
    rows = []
    for variant in VARIANTS:
        name = f"tune_{variant}"
        if is_there(name):
            table, record = counts_of(name, "validation"), kept(name)
            rows.append(
                {
                    "variant": variant,
                    "steps": str(record["steps"]),
                    "lesion Dice": f"{dice(table, ANY):.3f}",
                    "lung Dice": f"{dice(table, 'lung'):.3f}",
                }
            )
    return rows


def write() -> list[Figure]:
    """Write `results.json` and `tables.md`; parts that are not finished are left out, and named."""
    figures: list[Figure] = []
    sections: list[tuple[str, list[dict[str, str]]]] = []
    missing = []
    named = [*NAMES["synthetic"], *NAMES["paper"], "real_maskrcnn", "real_unet"]
    sections.append(("Trainings, on their test parts", segmentation_rows(named)))
    for part, needed, made in (
        ("synthetic", NAMES["synthetic"], synthetic_figures),
        ("paper", NAMES["paper"], paper_figures),
        ("real", ["real_maskrcnn", "real_unet"], real_figures),
    ):
        missing += [name for name in needed if not is_there(name)]
        if part == "paper" or all(map(is_there, needed)):
            figures += made()
    if (FINISHED / "factors" / "factors.csv").is_file():
        figures += [*factor_figures(), *healthy_figures()]
        sections.append(("Factors from predicted labels", factor_rows()))
    else:
        missing.append("factors")
    sections.append(("Folds of the real slices", fold_rows()))
    sections.append(("Tried on the validation case of the first real fold", tuning_rows()))
    records = [json.loads(path.read_text()) for path in sorted(FINISHED.glob("*/run.json"))]
    spent = [
        {"training": path.parent.name, "processor seconds": f"{r['seconds']:.0f}",
         "steps": str(r["steps"]), "parameters": f"{r['parameters'] / 1e6:.1f} M"}
        for path, r in zip(sorted(FINISHED.glob("*/run.json")), records, strict=True)
    ]  # fmt: skip
    sections.append(("What the trainings took", spent))
    commits = sorted({str(r["environment"]["commit"]) for r in records})
    environment = records[0]["environment"] | {"commit": ", ".join(commits)}
    undefined = [each["figure"] for each in figures if not np.isfinite(each["value"])]
    figures = [each for each in figures if np.isfinite(each["value"])]
    content = {"environment": environment, "not finished": missing, "undefined": undefined}
    content["figures"] = figures
    write_json(HERE / "results.json", content)
    text = "\n\n".join(f"## {head}\n\n{markdown(rows)}" for head, rows in sections if rows)
    write_text(HERE / "tables.md", f"Written by `run.py report`; do not edit.\n\n{text}\n")
    return figures


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A table of texts."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([row[name] for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
