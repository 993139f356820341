"""Errors of Hydra and OmegaConf as sentences that suggest what was meant.

What was wrong is taken from the attributes of the errors and from the command line, held against
the default tree; no wording of Hydra's is relied on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from covidlit.errors import ConfigError, CovidlitError
from covidlit.settings.keys import suggest
from covidlit.settings.third_party import how_to_add, missing_package
from covidlit.settings.tree import config_dir, default_tree, dotted_names, groups
from covidlit.settings.words import typed_setting

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_EXAMPLES = {"data.source.path": "manifest.csv"}
"""Values of the settings that have no default."""
_FUNCTION = re.compile(
    r"(?:choice|range|interval|glob|sort|shuffle|tag|int|float|str|bool|json_str|extend_list)\("
)
"""How a value begins that is none, but a call in Hydra's grammar of overrides."""
_HELP = "see `python train.py --help`"
_SWEEPER = "hydra.sweeper."


def translate(error: Exception, command_line: Sequence[str] = ()) -> CovidlitError:
    """Turn one of Hydra's errors into one that says what was wrong and suggests what was meant.

    Args:
        error: a HydraException, as raised while the configuration is composed, or while an object
            is made from it; then what its class had to say is kept. Or an error of OmegaConf, as
            raised while the values are resolved.
        command_line: the arguments that the configuration was composed from.
    """
    from hydra.errors import InstantiationException, MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _not_made(error, error.__cause__)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return ConfigError(
            f"there is no choice {choice!r} in the group {group!r}.",
            where=f"{group}={choice}",
            fix=suggest(choice, [option for option in error.options if option], "the choices are"),
        )
    message = " ".join(str(error).split())
    if isinstance(error, OverrideParseException):
        fix = _how_to_quote(str(error.override))
        what = (
            "its value holds characters that have a meaning of their own here" if fix else message
        )
        return ConfigError(f"{what.rstrip('.')}.", where=error.override, fix=fix or f"{_HELP}.")
    found = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    overrides = list(_parsed(command_line))
    if isinstance(found, OmegaConfBaseException) and found.full_key:
        key = str(found.full_key)
        composing = found is not error and isinstance(found, ConfigKeyError | ConfigAttributeError)
        return _unknown(key, overrides) if composing else _wrong_value(found, key)
    known = _known()
    if not {"-m", "--multirun"} & set(command_line):
        for override in overrides:
            given = override.input_line or ""
            if override.is_sweep_override() and (fix := _how_to_quote(given)):
                what = "several values, with commas, need -m; a comma in one value needs quotes."
                return ConfigError(what, where=given, fix=fix)
    for override in overrides:
        if override.key_or_group not in known and not override.is_add():
            return _unknown(override.key_or_group, overrides)
    return ConfigError(message, fix=f"{_HELP}.")


def _wrong_value(error: Exception, key: str) -> ConfigError:
    from omegaconf.errors import MissingMandatoryValue

    if isinstance(error, MissingMandatoryValue):
        return ConfigError(
            "it is not set.", where=key, fix=f"give {key}={_EXAMPLES.get(key, 'VALUE')}."
        )
    what = str(getattr(error, "msg", None) or error).partition("\n")[0]
    return ConfigError(what, where=key, fix=f"{_HELP}.")


def _not_made(error: Exception, cause: BaseException) -> CovidlitError:
    """An object of the configuration whose class refused its settings, or could not be imported."""
    if isinstance(cause, CovidlitError):
        return cause
    named = re.search(r"'([\w.]+)'", str(error).partition("\n")[0])  # of the class, if it is there
    where = named.group(1) if named else None
    return missing_package(cause, where) or ConfigError(
        f"{type(cause).__name__}: {cause}",
        where=where,
        fix="correct the settings of this object (config.yaml in the run's folder).",
    )


def _unknown(key: str, overrides: Sequence[Override]) -> ConfigError:
    """A setting that the composed tree does not have, or a group that there is not."""
    known = _known(hydra=key.startswith("hydra."))
    group = key.partition(".")[0]
    if key.startswith(_SWEEPER):
        if key in known:
            fix = "choose one, such as `python train.py -m sweep=default ...`."
            return ConfigError("no sweep of covidlit is chosen.", where=key, fix=fix)
        part, _, setting = key.removeprefix(_SWEEPER).partition(".")
        if setting:
            return ConfigError(
                f"the {part} that is chosen lists no such setting.",
                where=key,
                fix=f"check its name; another argument of Optuna's class is added by +{key}=VALUE.",
            )
        known = [name for name in known if name.startswith(_SWEEPER)]
    elif key in known and (folder := config_dir() / group).is_dir():
        chosen = {str(each.value()) for each in overrides if each.key_or_group == group}
        choices = ", ".join(sorted({path.stem for path in folder.glob("*.yaml")} - chosen))
        return ConfigError(
            f"the choice made in the group {group!r} has no such setting.",
            where=key,
            fix=f"choose another: {group}= one of {choices}.",
        )
    given = [override.input_line for override in overrides if override.key_or_group == key]
    adding = f"+{given[0] if given else f'{key}=VALUE'}"
    if (way := how_to_add(key, default_tree(), adding)) is not None:
        return ConfigError("conf/ does not list this setting.", where=key, fix=way)
    return ConfigError(
        f"there is no setting or group {key!r}.",
        where=key,
        fix=suggest(key, known, f"{_HELP}; similar names:"),
    )


def _known(*, hydra: bool = True) -> list[str]:
    """The names of all groups and settings, those of sweeps among them."""
    names = {*groups(), *dotted_names(default_tree("sweep=default", hydra=True))}
    return sorted(
        name for name in names if hydra or name.startswith(_SWEEPER) or name[:6] != "hydra."
    )


def _how_to_quote(argument: str) -> str:
    """How to give the value of KEY=VALUE as it stands; empty where quotes would not help."""
    key, equals, value = argument.partition("=")
    if not equals or not value or value[0] in "[{\"'" or _FUNCTION.match(value):
        return ""
    quoted = typed_setting(key, value)
    parsed = list(_parsed(shlex.split(quoted)))
    if parsed and parsed[0].value() == value:
        return f"quote the value for Hydra, and all of it for the shell: {quoted}."
    return ""


def _parsed(command_line: Sequence[str]) -> Iterator[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    for argument in command_line:
        try:
            yield OverridesParser.create().parse_override(argument)
        except HydraException:
            continue  # an option, such as -m
