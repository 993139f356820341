"""Read the search space of a sweep from the command line and from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override

from covidlit.errors import ConfigError
from covidlit.sweep.conditions import Block, check_condition, name_apart
from covidlit.sweep.parameters import Parameter, parse_override, read_parameter, value_text
from covidlit.sweep.space import SearchSpace

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

_PARAMS, _CONDITIONAL = "hydra.sweeper.params", "hydra.sweeper.conditional"
_EXAMPLE = "give for example 'model.task.optimizer.lr=tag(log,interval(1e-4,1e-2))'."


def read_space(
    arguments: Sequence[str],
    params: Mapping[str, Any],
    conditional: Sequence[Mapping[str, Any]] = (),
    choices: Mapping[str, Any] | None = None,
    loader: ConfigLoader | None = None,
) -> SearchSpace:
    """Read the search space of a command.

    What the command line says of a name beats what the YAML says of it, in the place where it
    stands there, its condition included.

    Args:
        arguments: the overrides of the command line, swept and fixed.
        params: of the YAML file: name and what is drawn, or a fixed value.
        conditional: of the YAML file: `{"when": {name: value or values}, "params": {...}}`.
        choices: the group choices of the command (`hydra.runtime.choices`).
        loader: for `glob(...)` over the choices of a group.

    Raises:
        ConfigError: nothing is drawn, or something cannot be.
    """
    command = _CommandLine(arguments, loader)
    blocks = [
        _conditional(entry, f"{_CONDITIONAL}[{number}]", command)
        for number, entry in enumerate(conditional)
    ]
    always = command.parameters(params, _PARAMS)
    always += [
        read_parameter(override, setting)
        for setting, override in command.unused()
        if override.is_sweep_override()
    ]
    fixed = [
        override.input_line or ""
        for _, override in command.unused()
        if not override.is_sweep_override()
    ]
    fixed += [
        parameter.override(parameter.text) for parameter in always if parameter.distribution is None
    ]
    drawn = tuple(parameter for parameter in always if parameter.distribution is not None)
    space = SearchSpace(
        tuple(fixed),
        name_apart([Block({}, drawn, _PARAMS), *blocks]),
        _known(fixed, choices or {}, drawn),
    )
    for number, block in enumerate(space.blocks):
        earlier = [parameter for done in space.blocks[:number] for parameter in done.parameters]
        check_condition(block, space.known, earlier)
    if all(parameter.distribution is None for parameter in space.parameters()):
        raise ConfigError("the sweep has nothing to search.", where=_PARAMS, fix=_EXAMPLE)
    return space


class _CommandLine:
    """The overrides of the command line, by setting, and which of them YAML names as well."""

    def __init__(self, arguments: Sequence[str], loader: ConfigLoader | None) -> None:
        self._loader = loader
        self._given: dict[str, Override] = {}
        self._used: set[str] = set()
        for text in arguments:
            override = parse_override(text, "the command line", loader)
            self._given[override.get_key_element().lstrip("+")] = override

    def parameters(self, named: Mapping[str, Any], where: str) -> list[Parameter]:
        """Read parameters of YAML; what the command line says of one takes its place."""
        found = []
        for key, value in named.items():
            setting, place = str(key).lstrip("+"), f"{where}.{key}"
            override = self._given.get(setting)
            if override is None:
                override = parse_override(f"{key}={value_text(value)}", place, self._loader)
            else:
                self._used.add(setting)
            found.append(read_parameter(override, place))
        return found

    def unused(self) -> list[tuple[str, Override]]:
        """The overrides that took no parameter's place."""
        return [item for item in self._given.items() if item[0] not in self._used]


def _conditional(entry: Mapping[str, Any], where: str, command: _CommandLine) -> Block:
    if set(entry) != {"when", "params"} or not entry["when"] or not entry["params"]:
        raise ConfigError(
            f"it needs exactly `when` and `params`, got {', '.join(map(str, entry))}.",
            where=where,
            fix="write - {when: {model: csacnet}, params: {model.task.net.width: choice(32,64)}}.",
        )
    when = {
        str(name): tuple(value) if isinstance(value, list | tuple) else (value,)
        for name, value in entry["when"].items()
    }
    return Block(when, tuple(command.parameters(entry["params"], f"{where}.params")), where)


def _known(
    fixed: Sequence[str], choices: Mapping[str, Any], drawn: Sequence[Parameter]
) -> dict[str, Any]:
    """The settings whose value all trials share: group choices and fixed overrides."""
    known = dict(choices)
    for text in fixed:
        override = parse_override(text, text)
        known[override.get_key_element().lstrip("+~")] = override.value()
    for parameter in drawn:
        known.pop(parameter.setting, None)
    return known
