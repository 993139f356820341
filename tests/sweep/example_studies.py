"""Studies as a sweep leaves them, made with Optuna alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

RATE, WIDTH, MODEL, WEIGHT = (
    "model.task.optimizer.lr", "model.task.net.width", "model", "model.task.sparsity_weight"
)  # fmt: skip
SPACE: dict[str, BaseDistribution] = {
    RATE: FloatDistribution(1e-4, 1e-2, log=True),
    WIDTH: IntDistribution(4, 16),
    MODEL: CategoricalDistribution(["csacnet", "resnet3d"]),
    WEIGHT: FloatDistribution(1e-4, 1.0, log=True),
}
CURVE = (0.6, 0.7, 0.75)


def study(name: str = "example", **arguments: Any) -> optuna.Study:
    """An empty study with the attributes of a sweep."""
    made = optuna.create_study(**{"direction": "maximize", "study_name": name, **arguments})
    made.set_user_attr("fixed", ["experiment=quickstart", "data.source.seed=1"])
    made.set_user_attr("metric", "val_auroc")
    return made


def add(
    to: optuna.Study,
    value: float | None,
    params: Mapping[str, Any] | None = None,
    curve: Sequence[float] = CURVE,
    reason: str | None = None,
    state: TrialState | None = None,
    overrides: Sequence[str] | None = None,
) -> None:
    """Add a trial: finished with a value, failed with a reason, otherwise pruned."""
    params = {RATE: 1e-3} if params is None else params
    if state is None:
        ended = TrialState.PRUNED if value is None else TrialState.COMPLETE
        state = TrialState.FAIL if reason else ended
    number = len(to.trials)
    attributes = {
        "overrides": list(overrides or (f"{name}={drawn}" for name, drawn in params.items())),
        "folder": f"trial_{number}",
        "epochs": len(curve),
        "seconds": 60.0,
    }
    if reason:
        attributes["reason"] = reason
    to.add_trial(
        create_trial(
            state=state,
            value=value,
            params=dict(params),
            distributions={name: SPACE[name] for name in params},
            user_attrs=attributes,
            intermediate_values=dict(enumerate(curve)),
        )
    )


def whole_study(**arguments: Any) -> optuna.Study:
    """12 finished, 4 pruned, 1 failed, 1 killed, 1 not needed; the sixth trial is the best.

    Only the learning rate matters; one network alone has a sparsity weight.
    """
    made = study(**arguments)
    for number in range(12):
        distance = abs(number - 5)
        params = {
            RATE: 1e-4 * 10 ** (2 * number / 11), WIDTH: 4 + 5 * number % 13,
            MODEL: "csacnet" if number % 2 else "resnet3d",
        }  # fmt: skip
        if number % 2:
            params[WEIGHT] = 10 ** -(number % 4)
        add(made, 0.95 - 0.03 * distance, params)
    for _ in range(4):
        add(made, None, {RATE: 5e-3, WIDTH: 8, MODEL: "resnet3d"}, curve=(0.5, math.nan))
    add(made, None, reason="MemoryError: <no> memory & more")
    add(made, None, reason="killed with its sweeper")
    add(made, None, reason="not needed")
    return made
