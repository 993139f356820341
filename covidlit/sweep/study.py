"""The study of a sweep: made by the first command, gone on with by the next ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.study import StudyDirection

from covidlit.errors import ConfigError
from covidlit.files import fingerprint
from covidlit.sweep.space import SearchSpace
from covidlit.version import __version__

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_SHOWN = 5
"""Differences that an error lists."""


def sweep_settings(space: SearchSpace, direction: str, folds: int | None) -> dict[str, Any]:
    """What may not change while a study goes on, as plain types."""
    fixed = dict(text.partition("=")[::2] for text in space.fixed)
    return {"direction": direction, "folds": folds, "fixed": fixed, **space.record()}


def open_study(
    storage: BaseStorage,
    name: str,
    space: SearchSpace,
    direction: str,
    folds: int | None,
    where: Path | str,
) -> optuna.Study:
    """The study of that name, made where there is none.

    To be called by one process at a time.

    Args:
        where: the study's place, for errors.

    Raises:
        ConfigError: it was made with other settings, or by something else.
    """
    settings = sweep_settings(space, direction, folds)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction=StudyDirection[direction.upper()],
        load_if_exists=True,
    )
    kept = study.user_attrs.get("settings")
    if kept is None:
        if study.get_trials(deepcopy=False):
            raise ConfigError(
                f"the study {name!r} was not made by a sweep of covidlit.",
                where=where,
                fix="choose another hydra.sweeper.study_name.",
            )
        study.set_user_attr("fixed", list(space.fixed))
        study.set_user_attr("space", json.dumps(space.record()))
        study.set_user_attr("covidlit", __version__)
        # Last: a study that has it has all.
        study.set_user_attr("settings", {"hash": fingerprint(settings), **settings})
        return study
    if kept["hash"] != fingerprint(settings):
        changes = _differences(kept, settings)
        shown = "; ".join(changes[:_SHOWN])
        more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        raise ConfigError(
            f"the study {name!r} was made with other settings: {shown}{more}.",
            where=where,
            fix="give hydra.sweeper.study_name=ANOTHER for a new study, or the settings it was "
            "made with. n_trials, n_jobs, gpus, time and failure limits, sampler and pruner may "
            "change.",
        )
    return study


def _differences(kept: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """What differs, setting by setting, in words."""
    found = [
        f"{name} is {kept[name]} in the study and {asked[name]} in this command"
        for name in ("direction", "folds")
        if kept[name] != asked[name]
    ]
    for part in ("fixed", "params"):
        for key in dict.fromkeys([*kept[part], *asked[part]]):
            old, new = kept[part].get(key, "not set"), asked[part].get(key, "not set")
            if old != new:
                found.append(f"{key} is {old} in the study and {new} in this command")
    if kept["conditional"] != asked["conditional"]:
        found.append("the conditional parameters differ")
    return found
