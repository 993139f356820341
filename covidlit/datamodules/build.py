"""The data of a run that a configuration describes."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from covidlit.datamodules.cohort_data import CohortData, RunSettings
from covidlit.errors import ConfigError, did_you_mean
from covidlit.settings.targets import ALLOWED_TARGETS, build, require_allowed

VOLUMES = "covidlit.datamodules.VolumeDataModule"
"""What a node `data` is of that names no class, as in runs of before there was another."""


def build_datamodule(config: dict[str, Any], *, trusted: bool = False) -> CohortData:
    """The rows that a configuration names, with their split; nothing is prepared yet.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        trusted: it is from the user's own command line, and may name classes of the user's. One
            that was read from a run's folder may not: see `covidlit.settings.targets`.

    Raises:
        ConfigError: a setting that does not exist or does not fit, or a class that may not be
            built.
    """
    make = partial(build, trusted=trusted)
    settings = dict(config["data"])
    target = settings.pop("_target_", VOLUMES)
    if not trusted:
        require_allowed(target, "data")
    kind = _class_of(str(target))
    rule = config.get("label_rule")
    run = RunSettings(
        label_rule=make(rule, "label_rules") if rule else None,
        split=make(config["split"], "splits"),
        inclusion=config.get("inclusion") or None,
        augmentation=config.get("augmentation") or None,
        seed=config["seed"],
        strict=config["strict"],
        build=make,
    )
    return kind.from_settings(settings, run)


def _class_of(target: str) -> type[CohortData]:
    module, _, name = target.rpartition(".")
    try:
        kind: type[CohortData] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"there is no class {target!r} ({error}).",
            where="data._target_",
            fix=did_you_mean(target, ALLOWED_TARGETS["data"]) or f"give for example {VOLUMES}.",
        ) from error
    return kind
