"""Settings of Lightning's Trainer: wrong values, found out before any scan is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

from covidlit.errors import ConfigError, did_you_mean
from covidlit.settings.errors import translate
from covidlit.settings.keys import check_keys
from covidlit.settings.third_party import UNUSED

_TRAINER = "pytorch_lightning.Trainer"
_GPUS = ("gpu", "cuda", "mps")
_AT_LEAST = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "num_nodes": 1}
"""Bounds that Lightning meets with a division by zero, or only once training starts."""


def check_trainer_settings(settings: Mapping[str, Any]) -> None:
    """Check the node `trainer` of a configuration against the arguments of Lightning's Trainer.

    Values that are objects (a node with `_target_`) are left to their own class, and so is a
    Trainer of the user's own.

    Raises:
        ConfigError: no such setting, or one that a run does not read; a value of another type;
            nothing would be trained; or the accelerator is not there.
    """
    if settings.get("_target_", _TRAINER) != _TRAINER:
        return
    import pytorch_lightning as pl

    given = {name: value for name, value in settings.items() if not name.startswith("_")}
    check_keys("trainer", given, signature(pl.Trainer).parameters)
    for name, fix in UNUSED.items():
        if name in given:
            raise ConfigError("a run does not read it.", where=f"trainer.{name}", fix=f"{fix}.")
    hints = get_type_hints(pl.Trainer.__init__)
    for name, value in given.items():
        if value is not None and not (isinstance(value, Mapping) and "_target_" in value):
            _check_type(name, value, hints[name])
            if name in _AT_LEAST and value < _AT_LEAST[name]:
                raise _wrong(name, f"must be at least {_AT_LEAST[name]}, not {value}.")
    _check_length(given)
    _check_devices(given.get("devices", "auto"))
    _check_accelerator(given.get("accelerator", "auto"))


def check_loggers(nodes: Mapping[str, Mapping[str, Any]] | None, folder: Path) -> None:
    """Make the loggers of a configuration once, to see that what they need is installed.

    Args:
        nodes: by name, as in `covidlit.runs.lightning_runner.LightningRunner`; a baseline has none.
        folder: where they would write; they do so only once training starts.

    Raises:
        ConfigError: a package is not installed, or a setting is wrong.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    for node in (nodes or {}).values():
        try:
            instantiate(node, save_dir=str(folder))
        except InstantiationException as error:
            raise translate(error) from error


def _check_type(name: str, value: object, hint: Any) -> None:
    """Lightning's own type of the argument is the rule; it does not check it itself."""
    import pydantic

    config = pydantic.ConfigDict(strict=True, arbitrary_types_allowed=True)
    try:
        pydantic.TypeAdapter(hint, config=config).validate_python(value)
    except pydantic.ValidationError as error:
        wanted = [
            problem["msg"].removeprefix("Input should be ")
            for problem in error.errors()
            if problem["type"] != "is_instance_of"
        ]
        what = f"must be {', or '.join(wanted)}; not {value!r}."
        raise _wrong(name, what if wanted else f"cannot be {value!r}.") from error


def _check_length(settings: Mapping[str, Any]) -> None:
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if settings.get(name) == 0:
            raise _wrong(name, "is 0, so nothing would be trained.")


def _check_devices(devices: object) -> None:
    """Refuse a text that lists no devices: Lightning would take "two" apart letter by letter."""
    if not isinstance(devices, str) or devices in ("auto", "-1"):
        return
    names = [name.strip() for name in devices.split(",") if name.strip()]
    if number_of_devices(devices) is None or not all(name.isdecimal() for name in names):
        raise _wrong(
            "devices",
            f"must be a number, a list of indices such as [0,1], or auto; not {devices!r}.",
        )


def _check_accelerator(accelerator: object) -> None:
    import torch
    from pytorch_lightning.accelerators import AcceleratorRegistry

    if not isinstance(accelerator, str):
        return
    known: Sequence[str] = ["auto", "gpu", *AcceleratorRegistry.available_accelerators()]
    if accelerator not in known:
        raise ConfigError(
            f"there is no accelerator {accelerator!r}.",
            where="trainer.accelerator",
            fix=did_you_mean(accelerator, known) or f"choose one of {', '.join(sorted(known))}.",
        )
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there["gpu"] = any(there.values())
    if accelerator in _GPUS and not there[accelerator]:
        raise ConfigError(
            f"no GPU was found, and trainer.accelerator is {accelerator}.",
            where="trainer",
            fix="use trainer=cpu; or, where there is a GPU, install its driver and a torch that "
            "was built for it (`python -c 'import torch; print(torch.cuda.is_available())'`).",
        )


def _wrong(name: str, what: str) -> ConfigError:
    return ConfigError(
        what, where=f"trainer.{name}", fix=f"give another value, or leave trainer.{name} out."
    )


def number_of_devices(devices: object) -> int | None:
    """How many devices the `devices` of a Trainer are; None where that depends on the machine.

    Args:
        devices: a number (-1: all there are), a list of indices, either as text, or "auto".
    """
    if isinstance(devices, str):
        names = [name for name in devices.split(",") if name.strip()]
        if "," in devices:
            return len(names)
        devices = int(devices) if devices.strip().isdecimal() else None
    if isinstance(devices, Sequence):
        return len(devices)
    return devices if isinstance(devices, int) and devices > 0 else None


def cut_short(trainer: Mapping[str, Any]) -> str:
    """What a debugging setting left of the training, as a sentence; empty where it left all.

    Args:
        trainer: settings of the Trainer. As there, a whole number is one of batches, a fraction
            one of the training part.
    """
    if dev_run := trainer.get("fast_dev_run"):
        batches = _batches(int(dev_run))
        return f"Training was a trial of {batches} (trainer.fast_dev_run), not a training."
    if overfit := trainer.get("overfit_batches"):
        return (
            f"Training used {_batches(overfit)} again and again (trainer.overfit_batches), to see "
            "whether the network can learn them by heart."
        )
    limit = trainer.get("limit_train_batches")
    if limit is None or (isinstance(limit, float) and limit == 1):
        return ""
    return f"Training used {_batches(limit)} in every epoch (trainer.limit_train_batches)."


def _batches(number: float) -> str:
    if isinstance(number, float):
        return f"{number:.3g} of the training part"
    return f"{number} batch" if number == 1 else f"{number} batches"
