"""What a reader must know before believing the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covidlit.counted import counted
from covidlit.evaluation.folds import fold_name, model_number
from covidlit.evaluation.subgroups import MISSING

MIN_PER_CLASS = 100
"""Fewer positive or negative test scans than this make external results uncertain
(Vergouwe et al., J Clin Epidemiol 2005;58:475)."""

MIN_FOR_THRESHOLD = 50
"""Fewer validation scans of a class than this make a chosen threshold uncertain (our limit)."""


NARROW = 0.01
"""Scores of which all lie in a range narrower than this do not spread (our limit)."""


def cautions(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """Cautions (code, text) that follow from the results of `evaluate`."""
    test, points = metrics["parts"]["test"], metrics["operating_points"]
    found: list[tuple[str, str]] = []
    if metrics["synthetic"]:
        found.append(
            ("synthetic", "The images are synthetic: no number here says anything about patients.")
        )
    if "validation" not in metrics["parts"]:
        found.append(
            (
                "no_validation",
                "There is no validation part: nothing could be chosen on scans that are in neither "
                "the training nor the test part.",
            )
        )
    if any(point["chosen_on"] is None for point in points):
        values = ", ".join(sorted({f"{p['threshold']:.3g}" for p in points if not p["chosen_on"]}))
        notes = sorted({point["note"] for point in points if point["note"]})
        why = f" because {'; '.join(notes)}" if notes else ""
        found.append(
            ("threshold_fixed", f"The threshold {values} was fixed, not chosen on data{why}.")
        )
    elif (fewest := few_for_threshold(points)) is not None:
        found.append(
            (
                "threshold_uncertain",
                f"The threshold was chosen on few validation scans ({fewest} of the rarer "
                "class): another sample could give another one.",
            )
        )
    if min(test["n_positive"], test["n_negative"]) < MIN_PER_CLASS:
        found.append(
            (
                "small_test",
                f"The test part has {test['n_positive']} positive and {test['n_negative']} "
                f"negative scans; below {MIN_PER_CLASS} of each, results are uncertain.",
            )
        )
    if test["auc"]["value"] is None:
        found.append(("auc_undefined", f"The AUC is undefined: {test['auc']['reason']}."))
    elif test["auc"]["low"] is not None and test["auc"]["low"] <= 0.5 <= test["auc"]["high"]:
        low, high = test["auc"]["low"], test["auc"]["high"]
        found.append(
            (
                "auc_by_chance",
                f"The interval of the AUC, {low:.3f} to {high:.3f}, includes 0.5: these scans do "
                "not show that the scores tell the classes apart at all.",
            )
        )
    for name, part in metrics["parts"].items():
        auc_defined = part["auc"]["value"] is not None
        if text := no_spread(part["n_scored"], part["score_spread"], auc_defined=auc_defined):
            found.append(("no_spread", f"The scores do not spread: of the {name} part, {text}."))
    centres = [name for name in test["by_centre"] if name != MISSING]
    if not centres:
        found.append(
            (
                "unknown_centre",
                "The centres of the test scans are unknown: nothing shows whether results hold in "
                "more than one.",
            )
        )
    elif len(test["by_centre"]) == 1:
        found.append(
            ("one_centre", "All test scans come from one centre: results may differ elsewhere.")
        )
    elif len(centres) == 1:
        found.append(
            (
                "one_centre",
                f"All test scans with a known centre come from one ({centres[0]}); the centre of "
                f"{test['by_centre'][MISSING]} is unknown: results may differ elsewhere.",
            )
        )
    if test["several_scans_per_patient"] and test["n_patients"] == 1:
        found.append(
            (
                "one_patient",
                f"All {test['n_scored']} test scans are of one patient: there are no intervals, "
                "and nothing shows how results are in others.",
            )
        )
    elif test["several_scans_per_patient"]:
        found.append(
            (
                "several_scans",
                "Some patients have several scans, so all intervals come from a bootstrap that "
                "draws patients.",
            )
        )
    if test["n_refused"]:
        found.append(
            (
                "refused",
                f"{test['n_refused']} of {test['n_scans']} test scans were refused and have no "
                "score; see what the results are if each is counted as an error.",
            )
        )
    if counts := test.get("notes"):
        listed = "; ".join(f"{n} x {text}" for text, n in counts.items())
        found.append(
            (
                "noted",
                f"Something was noted of {sum(counts.values())} of {test['n_scored']} scored test "
                f"scans as they were read: {listed}.",
            )
        )
    if counts := metrics.get("without_score"):
        scans = " and ".join(counted(n, f"{part} scan") for part, n in counts.items())
        found.append(
            (
                "without_score",
                f"{scans} not marked as refused, but without a score (missing or not a number). "
                "They count as refused: look at what wrote the table.",
            )
        )
    if len(metrics["operating_points"]) > 1:
        folds = ", ".join(map(str, metrics["run"]["folds"]))
        found.append(
            (
                "folds",
                f"Folds {folds} of a cross-validation: AUCs are means of the folds' AUCs, because "
                "the scores of different models cannot be compared; sensitivity, specificity and "
                "the like count the decisions of all folds, each at its own threshold. Curves, "
                "calibration and tables of thresholds pool the scores all the same. Intervals do "
                "not hold how much trainings on other patients would differ; that of the corrected "
                "t does.",
            )
        )
    if (repeats := test.get("n_repeats", 1)) > 1:
        found.append(
            (
                "repeats",
                f"Each test scan is scored in {repeats} repeats, by a model that was not trained "
                "on it: results are means over the repeats. Patients are counted and drawn once, "
                "so that repeats do not make intervals narrower than the patients allow.",
            )
        )
    for name, part in metrics["parts"].items():
        without = [fold for fold in part.get("folds", ()) if fold["auc"]["value"] is None]
        if without and len(without) < len(part["folds"]):
            named = "; ".join(f"{_fold(fold)}: {fold['auc']['reason']}" for fold in without)
            found.append(
                (
                    "fold_without_auc",
                    f"The AUC of the {name} part leaves out {len(without)} of "
                    f"{len(part['folds'])} folds, which have none ({named}).",
                )
            )
    return [{"code": code, "text": text} for code, text in found]


def _fold(record: dict[str, Any]) -> str:
    """Such as "fold 3" or "fold 3 of repeat 1"."""
    return f"fold {fold_name(model_number(record['fold'], record.get('repeat')))}"


def few_for_threshold(points: Sequence[dict[str, Any]]) -> int | None:
    """How many scans of the rarer class thresholds were chosen on, where they are too few.

    Args:
        points: records of operating points with `n`, `n_positive` and `chosen_on`, one per fold.

    Returns:
        The smallest number of all points if it is below `MIN_FOR_THRESHOLD`; None if it is not, or
        if a threshold was fixed rather than chosen.
    """
    if any(point["chosen_on"] is None for point in points):
        return None
    fewest = min(min(p["n_positive"], p["n"] - p["n_positive"]) for p in points)
    return fewest if fewest < MIN_FOR_THRESHOLD else None


def no_spread(n: int, spread: dict[str, float] | None, *, auc_defined: bool) -> str | None:
    """What is wrong with the spread of some scores, or None.

    Args:
        n: number of scores.
        spread: of `covidlit.evaluation.part.score_spread`; None without a score.
        auc_defined: whether the scans of these scores are of both classes.
    """
    if spread is None:
        return None
    low, high = spread["lowest"], spread["highest"]
    if n > 1 and spread["n_distinct"] == 1:
        auc = ", so the AUC of 0.5 comes from ties alone" if auc_defined else ""
        return f"all {n} scans have the score {low:.3g}{auc}: they tell nothing apart"
    if n > 2 and spread["n_distinct"] == 2:
        return (
            f"all {n} scans have one of two scores ({low:.6g} and {high:.6g}): they are decisions "
            "rather than probabilities, and there is only one threshold to choose"
        )
    if n > 2 and high - low < NARROW:
        return (
            f"all {n} scans have a score from {low:.6g} to {high:.6g}: as probabilities these are "
            "all the same, and rounding may change their order"
        )
    if n >= 10 and spread["commonest_share"] >= 0.5:
        share = f"{100 * spread['commonest_share']:.0f}%"
        return (
            f"{share} of the {n} scans have the same score, {spread['commonest']:.3g}: among these "
            "it tells nothing apart"
        )
    return None
