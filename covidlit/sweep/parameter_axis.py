"""The axis of one parameter in parallel coordinates: linear, logarithmic, or of names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

MISSING = 1.12
"""Where a trial stands that did not draw the parameter; the axis goes from 0 to 1."""

_CHARACTERS = 46
"""How many characters fit below an axis."""


@dataclass(frozen=True)
class ParameterAxis:
    """Where the values of a parameter lie on an axis from 0 to 1.

    Attributes:
        name: of the parameter.
        label: what it is called in the figure.
        low: the lower end, for numbers.
        high: the upper end, for numbers.
        log: whether the axis is logarithmic, as the distribution is.
        choices: the values of a choice, as text; empty for numbers.
        some_missing: whether a trial did not draw the parameter.
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[str, ...] = ()
    some_missing: bool = False

    @staticmethod
    def of(name: str, label: str, trials: Sequence[FrozenTrial]) -> ParameterAxis:
        """The axis of a parameter, as wide as all distributions that trials drew it from.

        Numbers and choices under one name become one axis of names.
        """
        kinds = [trial.distributions[name] for trial in trials if name in trial.distributions]
        missing = len(kinds) < len(trials)
        numbers = [kind for kind in kinds if isinstance(kind, FloatDistribution | IntDistribution)]
        if numbers and len(numbers) == len(kinds):
            low, high = min(k.low for k in numbers), max(k.high for k in numbers)
            log = all(kind.log for kind in numbers) and low > 0
            return ParameterAxis(name, label, low, high, log, (), missing)
        choices: dict[str, None] = {}
        for kind in kinds:
            if isinstance(kind, CategoricalDistribution):
                choices.update(dict.fromkeys(map(str, kind.choices)))
        drawn = (str(trial.params[name]) for trial in trials if name in trial.params)
        choices.update(dict.fromkeys(drawn))
        return ParameterAxis(name, label, choices=tuple(choices), some_missing=missing)

    def place(self, value: Any) -> float:
        """Where a value lies, from 0 to 1; None: `MISSING`, unless None itself is a choice."""
        if self.choices:
            if str(value) not in self.choices:
                return MISSING
            if len(self.choices) == 1:
                return 0.5
            return self.choices.index(str(value)) / (len(self.choices) - 1)
        if value is None or not math.isfinite(value):
            return MISSING
        if self.high == self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where the ticks are, with their labels."""
        if self.choices:
            width = max(4, _CHARACTERS // len(self.choices))
            labels = [_cut(choice, width) for choice in self.choices]
            return [(self.place(c), label) for c, label in zip(self.choices, labels, strict=True)]
        if self.high == self.low:
            return [(0.5, f"{self.low:.4g}")]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        values = [self.low, middle, self.high]
        return [(self.place(value), f"{value:.3g}") for value in values]


def value_axis(label: str, values: Sequence[float]) -> ParameterAxis:
    """The axis of the objective, from the lowest to the highest value."""
    return ParameterAxis("", label, min(values), max(values))


def _cut(text: str, width: int) -> str:
    """The text, or its beginning where it is too long; `shorten` cuts at spaces alone."""
    return text if len(text) <= width else shorten(text[: width - 1], width, placeholder="") + "…"
