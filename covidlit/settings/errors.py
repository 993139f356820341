"""Errors of Hydra and OmegaConf as sentences that suggest what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from covidlit.errors import ConfigError, CovidlitError
from covidlit.settings.keys import suggest
from covidlit.settings.tree import config_dir, default_tree, dotted_names, groups
from covidlit.settings.unlisted import missing_package, unlisted_argument

_EXAMPLES = {"data.source.path": "manifest.csv"}
"""Values of the settings that have no default."""


def translate(error: Exception) -> CovidlitError:
    """Turn one of Hydra's errors into one that says what was wrong and suggests what was meant.

    Args:
        error: a HydraException, as raised while the configuration is composed, or while an object
            is made from it; then what its class had to say is kept. Or an error of OmegaConf, as
            raised while the values are resolved.
    """
    from hydra.errors import InstantiationException, MissingConfigException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    if isinstance(error, OmegaConfBaseException) and error.full_key:
        key = str(error.full_key)
        if isinstance(error, MissingMandatoryValue):
            value = _EXAMPLES.get(key, "VALUE")
            return ConfigError("it is not set.", where=key, fix=f"give {key}={value}.")
        what = str(error.msg or error).partition("\n")[0]
        return ConfigError(what, where=key, fix="see `python train.py --help`.")

    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        cause = error.__cause__
        if isinstance(cause, CovidlitError):
            return cause
        found = re.search(r"(?:call to|locating) target '([^']+)'", str(error))
        where = found.group(1) if found else None
        if (missing := missing_package(cause, where)) is not None:
            return missing
        return ConfigError(
            f"{type(cause).__name__}: {cause}",
            where=where,
            fix="correct the settings of this object (config.yaml in the run's folder).",
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return ConfigError(
            f"there is no choice {choice!r} in the group {group!r}.",
            where=f"{group}={choice}",
            fix=suggest(choice, [option for option in error.options if option], "the choices are"),
        )
    message = " ".join(str(error).split())
    found = re.search(r"override '?([\w./@~+-]+)|[Kk]ey '([\w.]+)'", message)
    asked = next((group for group in found.groups() if group), None) if found else None
    if asked is None:
        return ConfigError(message, fix="see `python train.py --help`.")
    asked = asked.lstrip("+~")
    if re.fullmatch(r"hydra\.sweeper\.((sampler|pruner)\.)?\w+", asked):
        return _unknown_to_sweeper(asked, message)
    tree = default_tree()
    known = sorted({*groups(), *dotted_names(tree), *_sweep_settings()})
    folder = config_dir() / asked.partition(".")[0]
    if asked in known and "Could not override" in message and folder.is_dir():
        choices = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        return ConfigError(
            f"the choice made in the group {folder.name!r} has no such setting.",
            where=asked,
            fix=f"choose another: {folder.name}= one of {choices}.",
        )
    if asked in known:  # the name is right, so the value or the syntax is not
        return ConfigError(message, where=asked, fix="see `python train.py --help`.")
    _, adding, override = str(error).partition("To append to your config use ")
    if adding and (fix := unlisted_argument(asked, tree, override.strip())) is not None:
        return ConfigError("conf/ does not list this setting.", where=asked, fix=fix)
    return ConfigError(
        f"there is no setting or group {asked!r}.",
        where=asked,
        fix=suggest(asked, known, "see `python train.py --help`; similar names:"),
    )


def _unknown_to_sweeper(asked: str, message: str) -> ConfigError:
    """A setting of sweeps that is mistyped, or whose sweep was not chosen."""
    if asked.count(".") > 2 and "Could not override" in message:
        return ConfigError(
            f"the {asked.split('.')[2]} that is chosen lists no such setting.",
            where=asked,
            fix=f"check its name; another argument of Optuna's class is added by +{asked}=VALUE.",
        )
    known = list(_sweep_settings())
    if asked.count(".") == 2 and asked not in known:
        what = f"there is no setting {asked!r}."
        return ConfigError(what, where=asked, fix=suggest(asked, known, "sweeps have"))
    if "Could not override" not in message:
        return ConfigError(message, where=asked, fix="see `python train.py --help`.")
    fix = "choose one, such as `python train.py -m sweep=default ...`."
    return ConfigError("no sweep of covidlit is chosen.", where=asked, fix=fix)


def _sweep_settings() -> Iterator[str]:
    tree = default_tree("sweep=default", hydra=True)
    yield from (f"hydra.sweeper.{name}" for name in tree["hydra"]["sweeper"])
