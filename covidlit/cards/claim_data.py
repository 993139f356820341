"""CLAIM items on data (7 to 13), answered from a run's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covidlit.cards.claim_model import is_network, is_of_factors
from covidlit.cards.claim_partitions import unknown_centres
from covidlit.cards.run_artefacts import Facts, MissingFact
from covidlit.cards.wording import last_name, listed, numbers, record_text
from covidlit.counted import counted

SYNTHETIC = "The images are synthetic, made by a computer: no patient stands behind them."

_PAPER_RULE = (
    "1 if RT-PCR positive and CT-confirmed, 0 if RT-PCR negative or untested and from before the "
    "outbreak"
)
LABEL_RULES = {
    "ManifestTarget": f"the manifest's own column target; where no row has one, {_PAPER_RULE}",
    "LabelRule": _PAPER_RULE,
    "ByClass": "1 for the positive classes, 0 for the others",
    "MultiClass": "one target per class, in this order",
}
"""What the label rules of `covidlit.cohort.label_rule` mean."""

MANIFEST_RULES = {
    "paper": LABEL_RULES["LabelRule"],
    "by_class": LABEL_RULES["ByClass"],
    "multi_class": LABEL_RULES["MultiClass"],
}
"""The same, by the names of `covidlit.cohort.provenance`."""


def sources(facts: Facts) -> list[str]:
    """Item 7: centres and scanners, as headers and manifest give them."""
    n, patients = facts.get("cohort.json", "n_scans"), facts.get("cohort.json", "n_patients")
    known = [row["centre"] for row in facts.get("cohort.json", "centres")]
    centres = [str(centre) for centre in known if centre is not None]
    manifest = facts.get("cohort.json", "manifest.file")
    origin = listed(centres) if centres else "centres that are not known"
    scans = f"{counted(n, 'scan')} of {counted(patients, 'patient')}"
    lines = [f"{scans} in {manifest}, from {origin}."]
    lines += unknown_centres(facts) if centres else []
    n_synthetic = facts.find("cohort.json", "n_synthetic")
    if n_synthetic is None:
        lines.append("The manifest does not say whether images are synthetic.")
    elif n_synthetic:
        share = "All" if n_synthetic == n else f"{n_synthetic} of the {n}"
        lines.append(f"{share} scans are synthetic: made by a computer, not from patients.")
    else:
        lines.append("No scan is marked synthetic.")
    hashed = facts.find("cohort.json", "manifest.sha256")
    lines.append(f"SHA-256 of the manifest: {hashed}.")
    return lines + [
        f"Scanner: {scanner_text(row)}." for row in facts.get("cohort.json", "scanners")
    ]


def scanner_text(row: Mapping[str, Any]) -> str:
    """A row of the scanner table, such as "centre_1, GE CT660, kernel SOFT, 2 scans: 5 mm"."""
    scanner = " ".join(str(row[k]) for k in ("manufacturer", "scanner_model") if row.get(k))
    kernel = f"kernel {row['kernel']}" if row.get("kernel") else "kernel not stated"
    units = {"slice_thickness_mm": "mm slice thickness", "kvp": "kV", "exposure_mas": "mAs",
             "n_slices": "slices"}  # fmt: skip
    measured = [f"{row[name]} {unit}" for name, unit in units.items() if row.get(name)]
    centre = row.get("centre") or "centre not known"
    scans = counted(row["scans"], "scan")
    first = f"{centre}, {scanner or 'scanner not stated'}, {kernel}, {scans}"
    return f"{first}: {', '.join(measured)}" if measured else first


def eligibility(facts: Facts) -> list[str]:
    """Item 8: the criteria that were applied, and the time that the scans are from."""
    criteria = facts.find("config.yaml", "inclusion")
    flow = facts.find("cohort.json", "flow")
    if not criteria and not flow:
        raise MissingFact("config.yaml has no inclusion and cohort.json no flow of inclusion")
    lines = []
    if criteria:
        named = {k: v for k, v in criteria.items() if k != "_target_" and v is not None}
        lines.append(f"Criteria of the run: {record_text(named)}.")
    if flow:
        asked = [str(row["criterion"]) for row in flow]
        lines.append(f"Applied in this order: {'; '.join(asked)}.")
    months = facts.find("cohort.json", "months")
    if months:
        lines.append(f"Scans acquired from {months['first']} to {months['last']} (year-month).")
    return lines


def preprocessing(facts: Facts) -> list[str]:
    """Item 9: geometry, window and number of the format; the configuration repeats it."""
    if is_of_factors(facts):
        return [
            "None by this run: lungs and lesions were segmented and measured before (covidlit "
            "quantify), by the definitions in factors.md beside the table of factors.",
        ]
    size = facts.get("config.yaml", "data.geometry.size")
    spacing = facts.get("config.yaml", "data.geometry.spacing")
    window = facts.get("config.yaml", "data.window")
    lines = [
        f"Resampled once to {numbers(spacing)} mm (z, y, x), then cropped or padded about the body "
        f"to {numbers(size)} voxels.",
        f"Stored as int16 HU; the window {window[0]} to {window[1]} HU is mapped to 0 and 1 after "
        "loading.",
        f"Number of the preprocessing format: {facts.get('cohort.json', 'preprocess_format')}. The "
        "same configuration prepares the same scans alike again.",
    ]
    checks = facts.find("cohort.json", "checks") or {}
    fewest = checks.get("min_slices") or facts.find("config.yaml", "data.min_slices")
    if fewest is not None:
        lines.append(f"DICOM series with fewer than {fewest} slices are refused.")
    off = checks.get("override") or facts.find("config.yaml", "data.override_checks")
    lines.append(f"Checks of the scans switched off: {listed(off) if off else 'none'}.")
    if earlier := checks.get("of_manifest"):
        lines.append(f"Switched off as the manifest was made: {listed(earlier)}.")
    return lines


def selection(facts: Facts) -> list[str]:
    """Item 10: which part of each scan is used."""
    if is_of_factors(facts):
        lines = ["The lesions of the whole scan, as they were segmented before they were measured."]
    else:
        size = facts.get("config.yaml", "data.geometry.size")
        lines = [
            f"The whole volume is used, as {numbers(size)} voxels (z, y, x). What lies beyond them "
            "is cut off by a crop about the body, without a person. No slice, lung or lesion is "
            "picked out.",
        ]
    left = facts.get("cohort.json", "n_without_part")
    if left:
        lines.append(f"{counted(left, 'scan')} of the manifest in no part, for want of a target.")
    return lines


def data_elements(facts: Facts) -> list[str]:
    """Item 11: predictor, outcome, and how the target follows from the manifest."""
    rule = facts.get("config.yaml", "label_rule")
    named = {k: v for k, v in rule.items() if k != "_target_" and v is not None}
    with_values = f" ({record_text(named)})" if named else ""
    name = last_name(rule.get("_target_"))
    meaning = f": {LABEL_RULES[name]}" if name in LABEL_RULES else ""
    seen = "the CT volume"
    if is_of_factors(facts):
        seen = "the factors of the lesions that features.csv lists, with units and definitions"
    lines = [
        f"Predictor: {seen}. Nothing else about a patient is given to the model.",
        f"Outcome: the target by the label rule {name}{with_values}{meaning}.",
    ]
    if name == "ManifestTarget":
        lines += _rules_of_manifest(facts)
    positive = facts.find("metrics.json", "positive_class")
    if positive:
        lines.append(f"The score is the probability of the class {positive}.")
    return lines


def _rules_of_manifest(facts: Facts) -> list[str]:
    """The label rules by which `covidlit manifest` made the targets, as the manifest says."""
    manifest = facts.get("cohort.json", "manifest.file")
    rules = facts.find("cohort.json", "label_rules")
    if not rules:
        return [f"{manifest} does not say by which rule its targets were made."]
    lines = []
    for text, n in rules.items():
        rule, _, classes = str(text).partition(": ")
        meaning = MANIFEST_RULES.get(rule)
        lines.append(
            f"`covidlit manifest` made the targets of {counted(n, 'scan')} by the label rule "
            f"{rule} ({classes}){f': {meaning}' if meaning else ''}."
        )
    return lines


def deidentification(facts: Facts) -> list[str] | None:
    """Item 12: only of a wholly synthetic cohort can a run say that there is nothing to do."""
    n, n_synthetic = facts.find("cohort.json", "n_scans"), facts.find("cohort.json", "n_synthetic")
    return [f"Not applicable. {SYNTHETIC}"] if n and n == n_synthetic else None


def missing_data(facts: Facts) -> list[str]:
    """Item 13: missing values by column, scans without a result, and the policy."""
    n, gaps = facts.get("cohort.json", "n_scans"), facts.get("cohort.json", "missing")
    some = {name: count for name, count in gaps.items() if count}
    lines = [
        f"Scans without a value, of {n}: {record_text(some)}." if some
        else f"None of the {n} scans lacks a value in a column of the manifest.",
    ]  # fmt: skip
    absent = facts.find("cohort.json", "columns_absent")
    if absent:
        lines.append(f"Columns that the manifest does not have: {listed(absent)}.")
    refused = facts.get("cohort.json", "refused")
    counts = {part: sum(reasons.values()) for part, reasons in refused.items()}
    lines.append(f"Scans refused before training or scoring: {record_text(counts)}.")
    lines += [
        f"Reason ({part}): {reason}: {count}."
        for part, reasons in refused.items()
        for reason, count in reasons.items()
    ]
    kept = facts.find("config.yaml", "inclusion.on_missing")
    if kept:
        text = f"Scans that an inclusion criterion cannot be assessed for: {kept}."
        lines.append(text)
    lines.append(
        f"Policy: {_imputation(facts)} A refused scan keeps its row, without a score; it is "
        "counted, and taken as an error in a second analysis. A missing value is a subgroup of its "
        "own."
    )
    return lines


def _imputation(facts: Facts) -> str:
    """What stands in for missing values; see `covidlit.baselines.classifier.build_pipeline`."""
    if is_network(facts):
        return "nothing is imputed."
    if is_of_factors(facts):
        none = (
            "in a scan without a lesion, what only a lesion can have counts as nothing_found of "
            "features.csv says; "
        )
        if last_name(facts.get("config.yaml", "model.classifier._target_")) == "FactorThresholds":
            return f"{none}a factor that is undefined otherwise is never beyond its threshold."
        return f"{none}a factor that is undefined otherwise {_of_undefined(facts)}."
    return (
        f"a feature that cannot be measured in a scan {_of_undefined(facts)}; no value of the "
        "manifest is imputed."
    )


def _of_undefined(facts: Facts) -> str:
    """What becomes of an undefined feature, see `covidlit.baselines.preparation`."""
    name = last_name(facts.get("config.yaml", "model.classifier._target_"))
    if name == "BestSingle":
        return "ranks at the training scans' median"
    missing = str(facts.find("config.yaml", "model.missing"))  # None before there was a choice
    return {
        "median_indicator": "becomes the training scans' median, and a feature says that it did",
        "iterative": "is estimated from the others, as fitted on the training scans",
        "own": "is handled by the classifier itself",
    }.get(missing, "becomes the training scans' median of it")
