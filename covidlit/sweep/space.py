"""The search space of a sweep: what is drawn, under which condition, and what is fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covidlit.errors import ConfigError
from covidlit.sweep.conditions import Block
from covidlit.sweep.parameters import Parameter, Value, same_value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class SearchSpace:
    """What a sweep searches.

    Args:
        fixed: the overrides that all trials share.
        blocks: the parameters in the order in which they are drawn; the first has no condition.
        known: settings with the value that all trials share, for conditions.
    """

    fixed: tuple[str, ...]
    blocks: tuple[Block, ...]
    known: Mapping[str, Any]

    def draw(self, trial: BaseTrial) -> list[str]:
        """The overrides of a trial, as its sampler proposes them."""
        chosen = self.assign(lambda parameter: parameter.draw(trial))
        return [parameter.override(value) for parameter, value in chosen]

    def assign(self, choose: Callable[[Parameter], Value]) -> list[tuple[Parameter, Value]]:
        """Choose a value for each parameter whose condition holds, in order."""
        values, chosen = dict(self.known), []
        for block in self.blocks:
            if not block.holds(values):
                continue
            for parameter in block.parameters:
                value = choose(parameter)
                values[parameter.setting] = parameter.plain(value)
                chosen.append((parameter, value))
        return chosen

    def grid(self) -> Iterator[dict[str, Value]]:
        """All combinations, the last parameter changing fastest; name in the study and value.

        Raises:
            ConfigError: a parameter has no list of values.
        """
        for parameter in self.parameters():
            if parameter.options() is None:
                raise ConfigError(
                    "a grid needs values that can be listed, and an interval has none.",
                    where=parameter.setting,
                    fix="use range(low,high,step) or choice(...), or another sampler: "
                    "hydra/sweeper/sampler=tpe.",
                )
        places: list[int] = []
        while True:
            sizes: list[int] = []

            def choose(parameter: Parameter, sizes: list[int] = sizes) -> Value:
                options = parameter.options() or []
                if len(sizes) == len(places):
                    places.append(0)
                sizes.append(len(options))
                return options[places[len(sizes) - 1]]

            chosen = self.assign(choose)
            yield {p.name: value for p, value in chosen if p.distribution is not None}
            while places and places[-1] + 1 == sizes[len(places) - 1]:
                places.pop()
            if not places:
                return
            places[-1] += 1

    def examples(self) -> Iterator[list[str]]:
        """Overrides of a few trials in which each parameter is set at least once where it can be.

        To compose them shows a mistyped name before the first trial.
        """
        for target in self.blocks:

            def choose(parameter: Parameter, target: Block = target) -> Value:
                options = parameter.options() or [parameter.lowest()]
                wanted = target.when.get(parameter.setting, ())
                for option in options:
                    if any(same_value(parameter.plain(option), value) for value in wanted):
                        return option
                return options[0]

            yield [parameter.override(value) for parameter, value in self.assign(choose)]

    def parameters(self) -> list[Parameter]:
        """All parameters, conditional ones as well."""
        return [parameter for block in self.blocks for parameter in block.parameters]

    def record(self) -> dict[str, Any]:
        """The space as plain types, for the study and to compare it with another command's."""
        first, *conditional = self.blocks
        return {
            "params": {parameter.key: parameter.text for parameter in first.parameters},
            "conditional": [
                {
                    "when": {name: [str(v) for v in values] for name, values in block.when.items()},
                    "params": {parameter.key: parameter.text for parameter in block.parameters},
                }
                for block in conditional
            ],
        }
