"""One parameter of a sweep: Hydra's override syntax read as a distribution of Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from covidlit.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from optuna.trial import BaseTrial

Value = str | int | float

_SYNTAX = (
    "write choice(a,b), range(low,high,step), interval(low,high) or tag(log,interval(low,high)); "
    "both ends are included."
)


@dataclass(frozen=True)
class Parameter:
    """A parameter that is drawn, or one with a fixed value.

    Args:
        key: as in an override: `model.task.optimizer.lr`, `+data.x`, `model`.
        text: the right side as the user wrote it.
        name: of the parameter in the study.
        distribution: None where the value is fixed.
    """

    key: str
    text: str
    name: str
    distribution: BaseDistribution | None

    @property
    def setting(self) -> str:
        """The key without the signs of adding, as other settings name it."""
        return self.key.lstrip("+")

    def named(self, name: str) -> Parameter:
        """The same under another name in the study."""
        return replace(self, name=name)

    def draw(self, trial: BaseTrial) -> Value:
        """The value that the trial's sampler proposes, or the fixed one."""
        space = self.distribution
        if isinstance(space, CategoricalDistribution):
            return str(trial.suggest_categorical(self.name, space.choices))
        if isinstance(space, IntDistribution):
            return trial.suggest_int(
                self.name, space.low, space.high, step=space.step, log=space.log
            )
        if isinstance(space, FloatDistribution):
            return trial.suggest_float(
                self.name, space.low, space.high, step=space.step, log=space.log
            )
        return self.text

    def options(self) -> list[Value] | None:
        """All values in order, or None where they cannot be listed (an interval)."""
        space = self.distribution
        if space is None:
            return [self.text]
        if isinstance(space, CategoricalDistribution):
            return [str(choice) for choice in space.choices]
        if isinstance(space, IntDistribution):
            return list(range(space.low, space.high + 1, space.step))
        assert isinstance(space, FloatDistribution)
        if space.step is None:
            return None
        low, high, step = (Decimal(str(number)) for number in (space.low, space.high, space.step))
        return [float(low + step * n) for n in range(int((high - low) / step) + 1)]

    def lowest(self) -> Value:
        """The low end of a range or an interval."""
        assert isinstance(self.distribution, IntDistribution | FloatDistribution)
        return self.distribution.low

    def override(self, value: Value) -> str:
        """The override that sets the value, quoted as the user had it."""
        return f"{self.key}={value!r}" if isinstance(value, float) else f"{self.key}={value}"

    def plain(self, value: Value) -> Any:
        """The value as the configuration will hold it: a choice's text without its quotes."""
        return plain_value(value) if isinstance(value, str) else value


def read_parameter(override: Override, where: str) -> Parameter:
    """Read `key=choice(...)`, `range`, `interval`, `tag`, `a,b,c` or a fixed value.

    Args:
        override: as Hydra has parsed it.
        where: what an error names.

    Raises:
        ConfigError: bounds or tags that cannot be searched.
    """
    key, value = override.get_key_element(), override.value()
    name, text = key.lstrip("+"), override.get_value_string().strip()
    if not override.is_sweep_override():
        return Parameter(key, override.get_value_element_as_str(), name, None)
    try:
        if isinstance(value, IntervalSweep):
            distribution = _interval(value)
        elif isinstance(value, RangeSweep):
            distribution = _range(value)
        else:
            # As text, so that lists and dictionaries can be chosen as well.
            texts = list(dict.fromkeys(override.sweep_string_iterator()))
            distribution = CategoricalDistribution(texts)
    except ValueError as error:
        raise ConfigError(f"{text} cannot be searched: {error}", where=where, fix=_SYNTAX) from None
    return Parameter(key, text, name, distribution)


def parse_override(text: str, where: str, loader: ConfigLoader | None = None) -> Override:
    """Read one override by Hydra's grammar.

    Raises:
        ConfigError: it does not parse.
    """
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides([text])[0]
    except HydraException as error:
        what = " ".join(str(error).partition("See https")[0].split())
        raise ConfigError(what, where=where, fix=_SYNTAX) from None


def value_text(value: Any) -> str:
    """The right side of an override that gives a value of a YAML file; text stays as it is."""
    return value if isinstance(value, str) else Override._get_value_element_as_str(value)


def plain_value(text: str) -> Any:
    """What an override's right side means: `'a b'` is a b, `1e-3` a number."""
    return parse_override(f"value={text}", text).value()


def same_value(one: Any, other: Any) -> bool:
    """Whether two values are the same to a condition; numbers may be written as text."""
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    if isinstance(value, str):
        try:
            return str(plain_value(value))
        except ConfigError:  # text that only a YAML file can hold
            return value
    if isinstance(value, Mapping):
        return str(dict(value))
    return str(value)


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    _check_tags(sweep.tags, {"log", "int"})
    if low is None or high is None or not low < high:
        raise ValueError("the first bound must be below the second.")
    if isinstance(low, int) or "int" in sweep.tags:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(sweep: RangeSweep) -> BaseDistribution:
    low, high, step = sweep.start, sweep.stop, sweep.step
    log = "log" in sweep.tags
    _check_tags(sweep.tags, {"log"})
    if low is None or high is None or not low < high or not step > 0:
        raise ValueError("the first bound must be below the second, and the step above 0.")
    if log and step != 1:
        raise ValueError("a range on a log scale has no step.")
    # Decimals, because a high end off the steps would be moved by Optuna with a warning.
    start, stop, width = (Decimal(str(number)) for number in (low, high, step))
    last = start + width * ((stop - start) // width)
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        return IntDistribution(low, int(last), step=step, log=log)
    if log:
        raise ValueError("a range of fractions has no log scale; use tag(log,interval(...)).")
    return FloatDistribution(float(low), float(last), step=float(step))


def _check_tags(tags: set[str], known: set[str]) -> None:
    if unknown := sorted(tags - known):
        raise ValueError(f"no meaning is known for the tag {unknown[0]}.")
