"""The best trial of a sweep as an experiment file that `train.py` runs."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from covidlit.errors import ConfigError
from covidlit.files import write_text
from covidlit.settings.tree import config_dir
from covidlit.sweep.composition import Composition, compose_train
from covidlit.sweep.summary import metric_of, summarise

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_PACKAGE = "# @package _global_\n"
"""The first line of an experiment file: Hydra looks for it nowhere else."""

_MERGED = ("experiment", "sweep", "debug")
"""Groups that only change what others set: their values are written, not their choice."""


def write_best(
    study: Study, folder: str | Path, *, conf: Path | None = None, search_path: Sequence[str] = ()
) -> Path | None:
    """Write `conf/experiment/<study>_best.yaml` into the sweep's folder; returns its path.

    The file chooses the groups that the trial chose and sets what else differs, so that
    `python train.py --config-dir=<folder>/conf experiment=<study>_best` composes the trial's
    configuration. That is checked before the file is written. Only `hydra` and `name` are the new
    run's own.

    Args:
        study: with the user attributes `fixed` and, of each trial, `overrides`.
        folder: the sweep's.
        conf: the Hydra tree with `train.yaml`; None: covidlit's own.
        search_path: further places of Hydra's search path, such as file:///home/me/conf.

    Returns:
        None where no trial has finished.

    Raises:
        ConfigError: the trial cannot be composed, or an experiment file cannot say what it is.
    """
    best = summarise(study).best
    if best is None:
        return None
    overrides = _overrides(study, best)
    name = best_name(study)
    conf = conf or config_dir()
    body = experiment_text(name, overrides, conf, search_path)
    text = _PACKAGE + _header(study, best, folder) + body
    _check(name, text, overrides, conf, search_path)
    return write_text(Path(folder) / "conf" / "experiment" / f"{name}.yaml", text)


def best_name(study: Study) -> str:
    """The name of the experiment: the study's, of letters that Hydra takes in a choice."""
    return re.sub(r"[^\w.-]+", "_", study.study_name) + "_best"


def best_command(study: Study, folder: str | Path) -> str:
    """The command that runs the best configuration."""
    place = shlex.quote(f"--config-dir={Path(folder) / 'conf'}")
    return f"python train.py {place} experiment={best_name(study)}"


def experiment_text(
    name: str, overrides: Sequence[str], conf: Path, search_path: Sequence[str] = ()
) -> str:
    """The experiment file of a configuration, without the lines at its head.

    Args:
        name: of its runs.
        overrides: that compose it.
        conf: the Hydra tree with `train.yaml`.
        search_path: further places of Hydra's search path.

    Raises:
        ConfigError: it lacks a setting that its groups bring, which no experiment file can undo.
    """
    trial = compose_train(overrides, conf, search_path)
    default = compose_train([], conf, search_path)
    chosen = _chosen(trial, default)
    base = compose_train([_as_override(c, default) for c in chosen.items()], conf, search_path)
    values = difference(base.settings, trial.settings)
    values.pop("name", None)
    lines = [f"  - {_as_default(choice, default)}\n" for choice in chosen.items()]
    values = {"name": name, **values}
    return "defaults:\n" + "".join(lines) + OmegaConf.to_yaml(OmegaConf.create(values))


def difference(base: dict[str, Any], target: dict[str, Any], where: str = "") -> dict[str, Any]:
    """What must be merged into `base` to get `target`; both unresolved.

    Raises:
        ConfigError: `target` lacks a key of `base`, which merging cannot take away.
    """
    if lacking := [f"{where}{key}" for key in base if key not in target]:
        raise ConfigError(
            f"the best trial takes {', '.join(lacking)} away, which an experiment file cannot.",
            where="the experiment file of the best trial",
            fix="run the best trial by its overrides; sweep.html lists them.",
        )
    found: dict[str, Any] = {}
    for key, value in target.items():
        if key in base and _same(base[key], value):
            continue
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            found[key] = difference(base[key], value, f"{where}{key}.")
        else:
            found[key] = value
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type all through: 1, 1.0 and true differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _overrides(study: Study, trial: FrozenTrial) -> list[str]:
    if "overrides" not in trial.user_attrs:
        raise ConfigError(
            f"trial {trial.number} does not say which overrides it was run with.",
            where=f"study {study.study_name}",
            fix="give a study that a sweep of covidlit has made.",
        )
    return [*study.user_attrs.get("fixed", []), *trial.user_attrs["overrides"]]


def _chosen(trial: Composition, default: Composition) -> dict[str, Any]:
    """The group choices that the file makes, those of covidlit's own contents page first."""
    kept = {
        group: choice
        for group, choice in trial.choices.items()
        if group.partition("@")[0] not in _MERGED and not group.startswith("hydra/")
    }
    order = [group for group in default.settings if group in kept]
    return {group: kept[group] for group in [*order, *(g for g in kept if g not in order)]}


def _as_override(choice: tuple[str, Any], default: Composition) -> str:
    group, value = choice
    return f"{'' if group in default.choices else '+'}{group}={_shown(value)}"


def _as_default(choice: tuple[str, Any], default: Composition) -> str:
    group, value = choice
    return f"{'override ' if group in default.choices else ''}/{group}: {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value is None else str(value)


def _header(study: Study, trial: FrozenTrial, folder: str | Path) -> str:
    lines: Iterable[str] = (
        f"Trial {trial.number} of the sweep {study.study_name}, the best of "
        f"{len(summarise(study).finished)} that finished: {metric_of(study)} {trial.value:.4g}.",
        f"Run it by `{best_command(study, folder)}`.",
    )
    return "".join("# " + " ".join(line.split()) + "\n" for line in lines)


def _check(
    name: str, text: str, overrides: Sequence[str], conf: Path, search_path: Sequence[str]
) -> None:
    """Compose the file, from a folder of its own, and hold it against the trial.

    Raises:
        ConfigError: they differ.
    """
    with tempfile.TemporaryDirectory() as scratch:
        write_text(Path(scratch) / "experiment" / f"{name}.yaml", text)
        places = [*search_path, f"file://{scratch}"]
        made = compose_train([f"experiment={name}"], conf, places).settings
    wanted = compose_train(overrides, conf, search_path).settings
    for settings in (made, wanted):
        settings.pop("name", None)
    if not _same(made, wanted):
        keys = sorted(key for key in {*made, *wanted} if not _same(made.get(key), wanted.get(key)))
        raise ConfigError(
            f"the experiment file would not compose the trial: {', '.join(keys)} would differ.",
            where=f"experiment={name}",
            fix="run the best trial by its overrides; sweep.html lists them.",
        )
