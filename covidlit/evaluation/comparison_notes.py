"""What follows from a comparison and what does not, in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

from covidlit.evaluation.cautions import MIN_PER_CLASS, few_for_threshold, no_spread
from covidlit.evaluation.difference import format_p
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.folds import fold_name, model_number

_MEASURES = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}


def conclusion(test: dict[str, Any], n_tests: int, confidence: float) -> str:
    """What one test shows, as a sentence; a difference is shown if its Holm p is below 1 - level.

    Args:
        test: a record of `Comparison.results["tests"]`; its `name`, where it has one, is that of
            the measure.
        n_tests: how many tests its family has.
        confidence: level of the intervals.
    """
    a, b, measure = test["first"], test["second"], test.get("name") or _MEASURES[test["measure"]]
    as_share = test["measure"] in ("sensitivity", "specificity")
    difference, p_holm, p_value = test["difference"], test["p_holm"], test["p_value"]
    if difference["value"] is None:
        return (
            f"{measure[0].upper()}{measure[1:]}: {a} and {b} cannot be compared: "
            f"{difference['reason']}."
        )
    size = _size(difference, not as_share, confidence)
    if p_holm is None:
        return f"No test of the {measure} of {a} and {b} ({size}): {test['reason']}."
    correction = f", Holm-corrected for {n_tests} tests" if n_tests > 1 else ""
    if p_holm < 1 - confidence:
        if difference["value"] < 0:
            a, b, difference = b, a, _turned(difference)
            size = _size(difference, not as_share, confidence)
        return (
            f"A difference was shown: {a} has a higher {measure} than {b} "
            f"({size}; {format_p(p_holm)}{correction})."
        )
    alone = ""
    if p_value < 1 - confidence:
        alone = f" Alone it would have {format_p(p_value)}; among {n_tests} tests that is not rare."
    return (
        f"No difference in {measure} was shown between {a} and {b} ({a} minus {b}: {size}; "
        f"{format_p(p_holm)}{correction}). That is not a proof that they are equal: the interval "
        f"says how large a difference may still be.{alone}"
    )


def comparison_notes(results: dict[str, Any], split_note: str | None) -> list[dict[str, str]]:
    """What a reader must know before believing a comparison (code, text).

    Args:
        results: of `compare`, with everything but the notes.
        split_note: what `check_splits` found.
    """
    test, models = results["test"], results["models"]
    found: list[tuple[str, str]] = []
    if results["synthetic"]:
        text = "The images are synthetic: no number here says anything about patients."
        found.append(("synthetic", text))
    found += _about_seeds(models)
    if left_out := test["n_scans"] - test["n_compared"]:
        counts = "; ".join(f"{model['model']} {_refused(model)}" for model in models)
        found.append(
            (
                "refused",
                f"{left_out} of {test['n_scans']} test scans were refused by at least one run and "
                f"are left out for all models (refused by {counts}). That can flatter a model "
                "that refuses hard scans: see each run's report for its refused scans.",
            )
        )
    if scoreless := [text for model in models if (text := _without_score(model))]:
        found.append(
            (
                "without_score",
                f"Not marked as refused but without a score (missing or not a number): "
                f"{'; '.join(scoreless)}. These rows count as refused: look at what wrote the "
                "table.",
            )
        )
    if min(test["n_positive"], test["n_negative"]) < MIN_PER_CLASS:
        found.append(
            (
                "small_test",
                f"The compared scans are {test['n_positive']} positive and {test['n_negative']} "
                f"negative; below {MIN_PER_CLASS} of each, only large differences can be shown "
                "and the p-values of AUCs are rough.",
            )
        )
    if len(test["centres"]) == 1:
        text = f"All test scans come from one centre ({test['centres'][0]}): another may differ."
        found.append(("one_centre", text))
    if test["several_scans_per_patient"]:
        found.append(
            (
                "several_scans",
                "Some patients have several scans, so DeLong's and McNemar's tests do not hold: "
                "intervals and p-values come from a bootstrap that draws patients.",
            )
        )
    if (repeats := test.get("n_repeats", 1)) > 1:
        found.append(
            (
                "repeats",
                f"Each scan was scored in {repeats} repeats, and models are compared repeat by "
                "repeat: differences are means over the repeats, paired by patient. Patients are "
                "counted and drawn once; tests of sensitivity and specificity come from a "
                "bootstrap that draws them.",
            )
        )
    found += _about_thresholds(models)
    found += _about_spread(models, test["n_compared"])
    found += _about_folds(models, results["by_fold"])
    if split_note:
        found.append(("splits", split_note))
    return [{"code": code, "text": text} for code, text in found]


def _about_seeds(models: list[dict[str, Any]]) -> list[tuple[str, str]]:
    numbers = {model["model"]: model["n_seeds"] for model in models}
    once = [name for name, number in numbers.items() if number == 1]
    named = ", ".join(f"{name} {number}" for name, number in numbers.items())
    found = []
    if len(models) == 1:
        text = "There is one model only: its seeds are shown, and there is nothing to test."
        found.append(("one_model", text))
    if len(once) < len(models):
        found.append(
            (
                "seed_average",
                "The tests compare scores averaged over each model's seeds, that is ensembles. "
                "Their uncertainty is that of the test patients alone; how much one training "
                "differs from the next is shown beside it, seed by seed.",
            )
        )
    if len(set(numbers.values())) > 1:
        found.append(
            (
                "unequal_seeds",
                f"The models have different numbers of seeds ({named}). An average over more "
                "seeds is usually better, so part of a difference may come from that.",
            )
        )
    if once:
        found.append(
            (
                "one_seed",
                f"Trained with one seed only: {', '.join(once)}. Nothing here shows how much "
                "another seed would have changed the result.",
            )
        )
    return found


def _about_thresholds(models: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found = []
    if without := [model["model"] for model in models if model["n_validation"] == 0]:
        found.append(
            (
                "no_validation",
                f"Without a validation part: {', '.join(without)}. Nothing could be chosen on "
                "scans that are in neither the training nor the test part.",
            )
        )
    if any(point["chosen_on"] is None for model in models for point in model["operating_points"]):
        found.append(
            (
                "threshold_fixed",
                "A threshold was fixed, not chosen on data: a difference in sensitivity or "
                "specificity may say more about the threshold than about the model.",
            )
        )
    fewest = {model["model"]: few_for_threshold(model["operating_points"]) for model in models}
    if few := [f"{name} {number}" for name, number in fewest.items() if number is not None]:
        found.append(
            (
                "threshold_uncertain",
                "Thresholds were chosen on few validation scans (of the rarer class: "
                f"{', '.join(few)}): another sample could give others, and with them another "
                "sensitivity and specificity.",
            )
        )
    return found


def _about_folds(
    models: list[dict[str, Any]], by_fold: list[dict[str, Any]]
) -> list[tuple[str, str]]:
    found = []
    if any(model["cross_validated"] for model in models):
        text = (
            "AUCs of cross-validations are means of the folds' AUCs, and their tests are paired by "
            "patient within the folds; sensitivity and specificity count the decisions of all "
            "folds. The tests hold for these trainings: they do not hold how much trainings on "
            "other patients would differ, which the corrected resampled t-test does."
        )
        found.append(("folds", text))
    if other := [m["model"] for m in models if len(m["folds"]) > 1 and not m["cross_validated"]]:
        text = (
            f"The seeds of {', '.join(other)} have different folds: their averaged scores are "
            "those of no one model, and their AUC pools them."
        )
        found.append(("folds_of_seeds", text))
    lacking = {
        fold_name(model_number(row["fold"], row.get("repeat"))): row["reason"]
        for row in by_fold
        if row["value"] is None
    }
    if lacking:
        named = "; ".join(f"fold {fold}: {reason}" for fold, reason in lacking.items())
        found.append(("fold_without_auc", f"Folds without an AUC are left out ({named})."))
    return found


def _about_spread(models: list[dict[str, Any]], n: int) -> list[tuple[str, str]]:
    texts = []
    for model in models:
        auc_defined = model["auc"]["value"] is not None
        if text := no_spread(n, model["score_spread"], auc_defined=auc_defined):
            texts.append(f"of {model['model']}, {text}")
    return [("no_spread", f"Scores do not spread: {'; '.join(texts)}.")] if texts else []


def _refused(model: dict[str, Any]) -> str:
    counts = [row["n_refused"] for row in model["seeds"]]
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)} by seed"


def _without_score(model: dict[str, Any]) -> str:
    """Such as "csacnet 2 test and 1 validation rows", over all its seeds; empty without any."""
    total: Counter[str] = Counter()
    for row in model["seeds"]:
        total.update(row["without_score"])
    counted = " and ".join(f"{n} {part}" for part, n in sorted(total.items()))
    return f"{model['model']} {counted} rows" if counted else ""


def _turned(difference: dict[str, Any]) -> dict[str, Any]:
    """The difference second minus first."""
    low, high = (None if difference[end] is None else -difference[end] for end in ("high", "low"))
    return {"value": -difference["value"], "low": low, "high": high}


def _size(difference: dict[str, Any], is_auc: bool, confidence: float) -> str:
    """A difference with its interval and signs, such as "+0.021 (95% CI -0.010 to +0.052)"."""
    scale, places, unit = (1, 3, "") if is_auc else (100, 1, " points")
    text = f"{scale * difference['value']:+.{places}f}{unit}"
    if difference["low"] is None:
        return f"{text}, no interval"
    low, high = (f"{scale * difference[end]:+.{places}f}" for end in ("low", "high"))
    return f"{text}, {format_level(confidence)} CI {low} to {high}"
