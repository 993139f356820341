"""A comparison as a tidy table: one row per result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

COLUMNS = (
    "result",
    "measure",
    "model",
    "minus",
    "seed",
    "value",
    "low",
    "high",
    "n",
    "interval",
    "test",
    "statistic",
    "p_value",
    "p_holm",
    "family",
    "n_tests",
    "reason",
)
MEASURES = ("auc", "sensitivity", "specificity")


def comparison_table(results: dict[str, Any]) -> pd.DataFrame:
    """The results of `compare`, one per row.

    `result` is "model" (of the score averaged over its seeds), "seed" (of one seed), "spread over
    seeds" (mean, SD, minimum and maximum of the seeds' AUCs), "difference" (`model` minus `minus`,
    with its test), "difference over trainings" (the corrected resampled t-test of
    cross-validations) or "difference of one seed". `interval` names the method of the interval.
    Columns that say nothing about a result are empty.
    """
    rows = [*_models(results), *_differences(results)]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS)).astype({"seed": "Int64"})


def _models(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for model in results["models"]:
        for measure in MEASURES:
            row = {"result": "model", "measure": measure, "model": model["model"]}
            yield row | _estimate(model[measure])
    for model in results["models"]:
        for seed in model["seeds"]:
            for measure in MEASURES:
                row = {"result": "seed", "measure": measure, "model": model["model"]}
                yield row | {"seed": seed["seed"]} | _estimate(seed[measure])
    for model in results["models"]:
        over = model["auc_over_seeds"]
        for name in ("mean", "sd", "min", "max"):
            row = {"result": "spread over seeds", "measure": f"auc, {name}"}
            row |= {"model": model["model"], "value": over[name], "n": over["n"]}
            yield row if over[name] is not None else row | {"reason": over["reason"]}


def _differences(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for test in results["tests"]:
        n_tests = results["families"][test["family"]]
        yield _test(test, "difference") | {"family": test["family"], "n_tests": n_tests}
    for test in results.get("over_trainings", ()):
        yield _test(test, "difference over trainings")
    for test in results["by_seed"]:
        yield _test(test, "difference of one seed") | {"seed": test["seed"]}


def _test(test: dict[str, Any], result: str) -> dict[str, Any]:
    row = {"result": result, "model": test["first"], "minus": test["second"]}
    row |= {"measure": test["measure"], "test": test["method"]}
    row |= {name: test[name] for name in ("statistic", "p_value", "p_holm")}
    row |= _estimate(test["difference"])
    return row | ({"reason": test["reason"]} if "reason" in test else {})


def _estimate(record: dict[str, Any]) -> dict[str, Any]:
    row = {name: record[name] for name in ("value", "low", "high", "n")}
    return row | {"interval": record["method"], "reason": record.get("reason")}
