"""CLAIM items on evaluation and results (28 to 32, 35 to 37), answered from a run's files."""

from __future__ import annotations

from typing import Any

from covidlit.cards.claim_model import is_network, is_of_factors
from covidlit.cards.claim_partitions import test_centres, unknown_centres
from covidlit.cards.run_artefacts import CHECKPOINT, FOLDS, HEATMAPS, Facts, MissingFact
from covidlit.cards.wording import listed, record_text
from covidlit.counted import counted
from covidlit.evaluation.estimate import Estimate, format_estimate, format_level

MEASURES = {
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1 score",
    "mcc": "Matthews correlation",
}
"""Measures of metrics.json by name, in the order of the report."""

CALIBRATION = {
    "slope": "calibration slope",
    "calibration_in_the_large": "calibration in the large",
    "brier": "Brier score",
    "ece": "expected calibration error",
}


def measures(facts: Facts) -> list[str]:
    """Item 28: what was measured, and where the threshold comes from."""
    part = facts.get("metrics.json", "parts.test")
    there = [*MEASURES.values()]
    there += [name for key, name in CALIBRATION.items() if key in part["calibration"]]
    points = facts.get("metrics.json", "operating_points")
    return [f"{', '.join(there)}.", *(str(point["sentence"]) for point in points)]


def uncertainty(facts: Facts) -> list[str]:
    """Item 29: level and methods of the intervals."""
    settings, part = facts.get("metrics.json", "settings"), facts.get("metrics.json", "parts.test")
    methods: dict[str, list[str]] = {}
    for key, name in MEASURES.items():
        record = measure_of(part, key)
        if record["value"] is not None:
            methods.setdefault(record["method"], []).append(name)
    level = format_level(settings["confidence"])
    return [
        f"Each measure that is defined has a {level} confidence interval.",
        *(f"{listed(names)}: {method}." for method, names in methods.items()),
        f"Bootstrap: {settings['n_bootstrap']} samples of patients, seed {settings['seed']}.",
        "No hypothesis is tested on the main results, and intervals of subgroups are not corrected "
        "for their number.",
    ]


def robustness(facts: Facts) -> list[str]:
    """Item 30: refused scans as errors, other thresholds, the check of the centre."""
    part = facts.get("metrics.json", "parts.test")
    refused, worst = part["refused"], part["refused"]["counted_as_errors"]
    lines = [f"Refused test scans: {refused['n']} of {refused['n_of']}."]
    if worst:
        named = [
            f"{MEASURES[key]} {estimate_text(worst[key], key)}" for key in worst if key in MEASURES
        ]
        lines.append(f"With each of them counted as an error: {'; '.join(named)}.")
    rows = part["threshold_table"]
    lines.append(
        f"Sensitivity and specificity at {len(rows)} further thresholds stand in report.html "
        f"({rows[0]['threshold']:g} to {rows[-1]['threshold']:g})."
    )
    for stratum in facts.get("metrics.json", "centre_check.strata"):
        if "p_value" in stratum:
            lines.append(
                f"Centre predicted from the score ({stratum['stratum']}, n = {stratum['n']}): "
                f"permutation p = {stratum['p_value']:.3f}."
            )
        elif "reason" in stratum:
            which = f"Centre predicted from the score ({stratum['stratum']})"
            lines.append(f"{which}: {stratum['reason']}.")
    return lines


def explanations(facts: Facts) -> list[str]:
    """Item 31: what was found when heatmaps were held against lesions and random weights.

    Raises:
        MissingFact: there are no heatmaps of this run's test part, or nothing was found of them.
    """
    if is_of_factors(facts):
        return [
            "A heatmap is not applicable, since no image is seen. features.csv lists the factors"
            ", thresholds.csv, where there is one, what was learnt of each."
        ]
    if not is_network(facts):
        return [
            "Not applicable: a heatmap shows where a network looked, and this classical model sees "
            "features of the whole volume. features.csv lists these."
        ]
    if FOLDS in facts.run.files:
        raise MissingFact("heatmaps are made of one fold's network: covidlit explain RUN/fold_0")
    again = "covidlit explain RUN --out RUN/heatmaps writes it"
    if HEATMAPS not in facts.run.files:
        raise MissingFact(f"the run has no {HEATMAPS}: {again}")
    if lack := _not_of_the_run(facts):
        raise MissingFact(f"{HEATMAPS} {lack}: {again} for the test part")
    sentences = facts.find(HEATMAPS, "sentences")
    if not sentences:
        raise MissingFact(
            f"{HEATMAPS} does not say how good they are; lesion masks (--truth) would"
        )
    n, n_test = facts.get(HEATMAPS, "n_scans"), facts.find("metrics.json", "parts.test.n_scans")
    layer, method = facts.get(HEATMAPS, "layer"), facts.get(HEATMAPS, "method")
    scans = counted(n, "scan") if n_test is None else f"{n} of the {n_test} scans"
    first = f"Heatmaps (method {method}, layer {layer}) of {scans} of the test part."
    return [first, *(str(sentence) for sentence in sentences)]


def _not_of_the_run(facts: Facts) -> str:
    """Why the heatmaps cannot stand for the run's test part; empty where they can."""
    made_on = facts.find(HEATMAPS, "checkpoint.split_hash")
    if made_on is None:
        return "does not say which run its heatmaps are of"
    if made_on != facts.get("split.json", "hash"):
        return "is of a run with another split"
    weights = facts.find(CHECKPOINT, "weights_hash")
    if weights is not None and facts.find(HEATMAPS, "checkpoint.weights_hash") != weights:
        return "is of other weights than this run's"
    part = facts.find(HEATMAPS, "part")
    if part is None:
        return "is of scans that were given by a path"
    return "" if part == "test" else f"is of the {part} part"


def external_test(facts: Facts) -> list[str]:
    """Item 32: none within a run; a centre held out is said for what it is."""
    held_out, shared = test_centres(facts)
    first = "External test: none. All scans are of one manifest."
    unknown = unknown_centres(facts)
    if not held_out:
        where = f"centres that were trained on: {listed(shared)}" if shared else "unknown centres"
        return [first, f"The test scans are of {where}.", *unknown]
    lines = [
        first,
        f"Test scans of {listed(held_out)} come from no centre of the other parts: geographical "
        "validation within the study, whose collection, labels and preparation the centres share. "
        "It does not replace a test on data of others.",
    ]
    if shared:
        lines.append(f"Other test scans are of centres that were trained on: {listed(shared)}.")
    if facts.find("cohort.json", "n_synthetic"):
        lines.append("The centres of synthetic scans are simulated.")
    return lines + unknown


def performance(facts: Facts) -> list[str]:
    """Item 35: all measures on the parts that were scored."""
    parts = facts.get("metrics.json", "parts")
    level = format_level(facts.get("metrics.json", "settings.confidence"))
    lines = []
    for part in parts:
        record = facts.get("metrics.json", f"parts.{part}")
        named = [
            f"{measure_name(record, k)} {estimate_text(measure_of(record, k), k)}" for k in MEASURES
        ]
        if "auc_pooled" in record:
            named.insert(1, f"AUC of the folds pooled {estimate_text(record['auc_pooled'], 'auc')}")
        lines.append(f"{part} (n = {record['n_scored']}, {level} CI): {'; '.join(named)}.")
    if "validation" in parts:
        lines.append("Validation results are optimistic: threshold or weights were chosen there.")
    else:
        lines.append("No validation part.")
    return [*lines, "Training scans are not scored."]


def accuracy(facts: Facts) -> list[str]:
    """Item 36: the table of two by two with the refused scans, accuracy, calibration, subgroups."""
    part = facts.get("metrics.json", "parts.test")
    confusion, refused = part["confusion"], part["refused"]
    at = part["at_operating_point"]
    named = [
        f"{MEASURES[key]} {estimate_text(at[key], key)}" for key in ("sensitivity", "specificity")
    ]
    lines = [
        f"Test part: {confusion['tp']} true positive, {confusion['fn']} false negative, "
        f"{confusion['fp']} false positive, {confusion['tn']} true negative; without a score "
        f"{refused['n_positive']} positive and {refused['n_negative']} negative.",
        f"{measure_name(part, 'auc')} {estimate_text(part['auc'], 'auc')}; {'; '.join(named)}.",
    ]
    found = part["calibration"]
    named = [
        f"{name} {estimate_text(found[key], key)}"
        for key, name in CALIBRATION.items()
        if key in found
    ]
    if named:
        lines.append(f"Calibration: {'; '.join(named)}.")
    for row in part["subgroups"]:
        auc = format_estimate(Estimate.from_dict(row["auc"]))
        counts = f"n = {row['n']}, {row['n_positive']} positive, {row['compared_with']}"
        lines.append(f"Subgroup {row['column']} {row['group']} ({counts}): AUC {auc}.")
    return lines


def failures(facts: Facts) -> list[str]:
    """Item 37: how many scans were called wrongly, and which were the worst."""
    part = facts.get("metrics.json", "parts.test")
    wrong, confusion = part["misclassified"], part["confusion"]
    lines = [
        f"{counted(confusion['fn'], 'positive test scan')} missed, "
        f"{counted(confusion['fp'], 'false alarm')}."
    ]
    if wrong:
        lines.append(f"The {len(wrong)} furthest from the threshold:")
    for row in wrong:
        facts_of = {name: row[name] for name in ("class_name", "centre")}
        score = f"score {row['score']:.3f}, threshold {row['threshold']:.3f}"
        lines.append(f"{row['scan_id']}: {row['error']}, {record_text(facts_of)}, {score}.")
    return lines


def measure_of(part: dict[str, Any], key: str) -> dict[str, Any]:
    """The record of one of `MEASURES` in a part of metrics.json."""
    record: dict[str, Any] = part["auc"] if key == "auc" else part["at_operating_point"][key]
    return record


def measure_name(part: dict[str, Any], key: str) -> str:
    """What a measure is called in a part of metrics.json: of folds, the AUC is their mean."""
    of_folds = key == "auc" and "auc_pooled" in part
    return f"{MEASURES[key]} (mean of the folds)" if of_folds else MEASURES[key]


def estimate_text(record: dict[str, Any], key: str) -> str:
    """A measure with its interval, proportions in percent."""
    percent = key in MEASURES and key not in ("auc", "f1", "mcc")
    return format_estimate(Estimate.from_dict(record), percent=percent)
