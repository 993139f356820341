"""The settings of the thresholds, checked together before anything is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covidlit.baselines.factor_thresholds.rule import RULES
from covidlit.errors import ConfigError, did_you_mean

DIRECTIONS = ("definition", "learnt")
WHERE = "model.classifier"


def check_settings(settings: Mapping[str, Any], n_columns: int) -> None:
    """Refuse settings of `FactorThresholds` that are wrong, alone or together.

    Args:
        settings: its arguments by name.
        n_columns: how many factors there are.

    Raises:
        ConfigError: names the setting and what it may be.
    """
    for name, known in (("rule", RULES), ("direction", DIRECTIONS)):
        if settings[name] not in known:
            raise ConfigError(
                f"there is no {name} {settings[name]!r}.",
                where=f"{WHERE}.{name}",
                fix=did_you_mean(str(settings[name]), known) or f"use one of {', '.join(known)}.",
            )
    rule, n_factors, k = settings["rule"], settings["n_factors"], settings["k"]
    settled = (("k", rule != "at_least_k"), ("n_factors", rule == "best"))
    for name, is_settled in settled:
        if is_settled and settings[name] is not None:
            raise ConfigError(
                f"rule={rule} settles it.",
                where=f"{WHERE}.{name}",
                fix="set it to null, or choose rule=at_least_k.",
            )
    _check_number("n_factors", n_factors, 1, n_columns)
    _check_number("k", k, 1, n_factors or n_columns)
    samples, confidence = settings["n_bootstrap"], settings["confidence"]
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 0:
        raise ConfigError(
            f"must be a whole number from 0 (no intervals) on, not {samples!r}.",
            where=f"{WHERE}.n_bootstrap",
            fix="use 1000.",
        )
    if not (isinstance(confidence, float) and 0 < confidence < 1):
        raise ConfigError(
            f"must lie between 0 and 1, not {confidence!r}.",
            where=f"{WHERE}.confidence",
            fix="use 0.95.",
        )


def _check_number(name: str, value: object, low: int, high: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(
            f"must be null or a whole number from {low} to {high}, not {value!r}.",
            where=f"{WHERE}.{name}",
            fix="set it to null: it is chosen then.",
        )
