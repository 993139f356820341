"""When the conditional parameters of a sweep are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import FloatDistribution

from covidlit.errors import ConfigError, did_you_mean
from covidlit.sweep.parameters import Parameter, same_value


@dataclass(frozen=True)
class Block:
    """Parameters that are drawn together where all of a condition holds.

    Args:
        when: name of another setting and the values of it that let these be drawn; empty: always.
        parameters: in the order in which they are drawn.
        where: the place in the configuration, for errors.
    """

    when: Mapping[str, tuple[Any, ...]]
    parameters: tuple[Parameter, ...]
    where: str

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether these are drawn beside `values`; a setting that is not there has no value."""
        return all(
            name in values and any(same_value(values[name], wanted) for wanted in allowed)
            for name, allowed in self.when.items()
        )

    def excludes(self, other: Block) -> bool:
        """Whether the two conditions can never hold together."""
        return any(
            not any(same_value(one, two) for one in self.when[name] for two in other.when[name])
            for name in self.when.keys() & other.when.keys()
        )

    def text(self) -> str:
        """The condition in words: `model=csacnet`, `depth=2|3`."""
        return ", ".join(
            f"{name}={'|'.join(str(value) for value in allowed)}"
            for name, allowed in self.when.items()
        )


def check_condition(block: Block, known: Mapping[str, Any], earlier: Sequence[Parameter]) -> None:
    """Refuse a condition that names what nothing sets, or a value that is never drawn.

    Args:
        block: the conditional parameters.
        known: settings with the value that all trials share.
        earlier: the parameters that are drawn before these.

    Raises:
        ConfigError: with what was probably meant.
    """
    drawn: dict[str, list[Parameter]] = {}
    for parameter in earlier:
        drawn.setdefault(parameter.setting, []).append(parameter)
    for name, allowed in block.when.items():
        where = f"{block.where}.when.{name}"
        if name not in drawn:
            if name not in known:
                _refuse_name(name, where, {*drawn, *known})
            continue
        if any(isinstance(parameter.distribution, FloatDistribution) for parameter in drawn[name]):
            raise ConfigError(
                "a condition cannot depend on a fraction that is drawn.",
                where=where,
                fix="let it depend on a choice(...) or on a range(...) of whole numbers.",
            )
        options = [
            parameter.plain(option)
            for parameter in drawn[name]
            for option in parameter.options() or ()
        ]
        for value in allowed:
            if not any(same_value(value, option) for option in options):
                texts = [str(option) for option in options]
                fix = did_you_mean(str(value), texts) or f"its values are {', '.join(texts[:10])}."
                raise ConfigError(f"{name} is never {value}.", where=where, fix=fix)


def name_apart(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Give parameters of one setting that differ between conditions a name each.

    Optuna knows one distribution by a name.

    Raises:
        ConfigError: a setting would be drawn twice in one trial.
    """
    places: dict[str, list[tuple[Block, Parameter]]] = {}
    for block in blocks:
        for parameter in block.parameters:
            for other, _ in places.get(parameter.setting, ()):
                if not block.excludes(other):
                    raise ConfigError(
                        f"{parameter.setting} is drawn here and in {other.where}.",
                        where=block.where,
                        fix="draw it once, or under conditions that cannot hold together.",
                    )
            places.setdefault(parameter.setting, []).append((block, parameter))
    several = {
        setting
        for setting, found in places.items()
        if any(parameter.distribution != found[0][1].distribution for _, parameter in found)
    }
    return tuple(
        Block(
            block.when,
            tuple(
                parameter.named(f"{parameter.setting} ({block.text()})")
                if parameter.setting in several
                else parameter
                for parameter in block.parameters
            ),
            block.where,
        )
        for block in blocks
    )


def _refuse_name(name: str, where: str, names: set[str]) -> None:
    shown = sorted(other for other in names if not other.startswith("hydra/"))
    fix = did_you_mean(name, shown, n=3) or (
        "a condition may name parameters that are drawn before, overrides of the command line and "
        f"groups: {', '.join(shown[:20])}."
    )
    raise ConfigError("no setting of this sweep has that name.", where=where, fix=fix)
