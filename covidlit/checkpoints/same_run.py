"""Which settings change a training: a run goes on from a checkpoint only with the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from covidlit.checkpoints.file import load_checkpoint
from covidlit.checkpoints.weights import check_weights
from covidlit.counted import counted
from covidlit.datamodules.build import VOLUMES
from covidlit.errors import CheckpointError
from covidlit.settings.paths import PATHS, SOURCE_PATHS
from covidlit.settings.targets import MOVED
from covidlit.settings.trainer import number_of_devices

_NODES = (
    "seed", "data", "label_rule", "split", "augmentation", "model.task",
    "model.classifier", "model.features", "model.scale", "model.calibration", "model.class_weights",
    "model.tune", "model.search",
    "trainer.accumulate_grad_batches", "trainer.gradient_clip_val", "trainer.limit_train_batches",
    "trainer.overfit_batches", "trainer.precision", "trainer.devices", "trainer.num_nodes",
)  # fmt: skip
_PLACES = {*PATHS, *SOURCE_PATHS, "n_jobs", "num_workers", "backend"}
"""Settings below these nodes that say where and with how many processes the work is done. Whether
another path holds the same scans is told by the split's hash."""

_WHOLE = (
    "seed", "strict", "inclusion", "data", "label_rule", "split", "augmentation", "model",
    "trainer", "callbacks", "evaluation.operating_point",
)  # fmt: skip
"""Nodes that say what a finished run was; `model` repeats trainer, callbacks and logger."""

_WHOLE_RUN = {
    "OneCycleLR": ("total_steps", "epochs"),
    "CosineAnnealingLR": ("T_max",),
}
"""Schedulers that are laid out over the length of the run, unless one of these arguments sets it;
see `covidlit.tasks.BaseTask.configure_optimizers`."""

_LISTED = 6


def changed_settings(before: object, now: object) -> str:
    """What differs between two resolved configurations (`conf/train.yaml`) and changes training.

    Returns:
        For example "data.batch_size was 10 and is 4"; empty where nothing differs, or where one of
        them is no configuration.
    """
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return ""
    old, new = dict(_settings(before)), dict(_settings(now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return _listed(f"{name} was {old.get(name)!r} and is {new.get(name)!r}" for name in names)


def changed_run(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two resolved configurations and changes a trained model or its scores.

    Beside `changed_settings` that is the length of the training, and what selects the weights.

    Returns:
        See `changed_settings`.
    """
    old, new = (
        {name: value for node in _WHOLE for name, value in _leaves(node, _at(config, node))}
        for config in (before, now)
    )
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return _listed(f"{name} was {old.get(name)!r} and is {new.get(name)!r}" for name in names)


def trainer_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the Trainer in the record of a run; empty where it has none."""
    config = record.get("config")
    trainer = config.get("trainer") if isinstance(config, Mapping) else None
    return trainer if isinstance(trainer, Mapping) else {}


def changed_length(
    before: Mapping[str, Any], now: Mapping[str, Any], scheduler: Mapping[str, Any] | None
) -> str:
    """What differs in the length of two runs, where their schedule depends on it.

    Args:
        before, now: settings of the Trainer; one that is missing is not compared.
        scheduler: its node, or None for a constant learning rate.

    Returns:
        For example "trainer.max_epochs was 10 and is 20"; empty where nothing differs, or where
        the learning rate of an epoch is the same in a run of any length.
    """
    name = str((scheduler or {}).get("_target_")).rpartition(".")[2]
    if name not in _WHOLE_RUN or any(key in (scheduler or {}) for key in _WHOLE_RUN[name]):
        return ""
    changed = [
        f"trainer.{key} was {before[key]!r} and is {now[key]!r}"
        for key in ("max_epochs", "max_steps")
        if key in before and key in now and before[key] != now[key]
    ]
    return "; ".join(changed)


def _listed(differences: Iterable[str]) -> str:
    found = list(differences)
    more = [f"{len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return "; ".join([*found[:_LISTED], *more])


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for node in _NODES:
        value = _at(config, node)
        if node == "trainer.devices":
            value = number_of_devices(value) or value
        if node == "data" and isinstance(value, Mapping):
            value = {"_target_": VOLUMES, **value}  # what runs of before did not say
        yield from _leaves(node, value)


def _at(config: Mapping[str, Any], dotted: str) -> Any:
    """The value of a dotted name; None where there is none."""
    value: Any = config
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted names and values; what is null is not set."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _PLACES and f"{name}.{key}" != "model.logger":
                yield from _leaves(f"{name}.{key}", inner)
    elif value is not None:
        yield name, MOVED.get(value, value) if isinstance(value, str) else value


def check_same_run(
    path: str | Path,
    hyper_parameters: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    record: Mapping[str, Any],
) -> str:
    """Refuse to resume a run from a checkpoint of another network, split or way of training.

    A finished run may be trained longer where its learning rate does not depend on its length.

    Args:
        path: the checkpoint.
        hyper_parameters, weights: of the task that is to go on from it.
        record: of the run that is to go on; fields that it lacks are not compared.

    Returns:
        How far the run had come, such as "after 10 of 10 epochs".

    Raises:
        CheckpointError: names the settings that differ.
    """
    checkpoint = load_checkpoint(path)
    written = checkpoint["covidlit"]["record"]
    if changed := changed_settings(written.get("config"), record.get("config")):
        raise _cannot_go_on(path, changed)
    before, now = checkpoint["hyper_parameters"], dict(hyper_parameters)
    for name in ("net", "n_classes", "optimizer", "scheduler"):
        old, new = _comparable(before.get(name)), _comparable(now.get(name))
        if old != new:
            raise _cannot_go_on(path, f"{name} was {old!r} and is {new!r}")
    check_weights(weights, checkpoint["state_dict"], path)
    for name in ("split_hash", "preprocess"):
        if name in record and name in written and _of_kind(record[name]) != _of_kind(written[name]):
            raise _cannot_go_on(path, f"{name} was {written[name]!r} and is {record[name]!r}")
    if written.get("rows") and record.get("rows") and written["rows"] != record["rows"]:
        raise CheckpointError(
            "the run cannot go on from this checkpoint: it was trained on other rows than those "
            "of now, under the same names.",
            where=path,
            fix="give the data as they were, or start a run without ckpt_path in another folder.",
        )
    old, new = (trainer_of(run) for run in (written, record))
    if changed := changed_length(old, new, before.get("scheduler")):
        raise _another_schedule(path, changed, before["scheduler"], new)
    return _progress(path, checkpoint.get("epoch"), old, new)


def _of_kind(value: Any) -> Any:
    # Records of before there was another kind of input do not say that theirs is a volume.
    return {"kind": "volume", **value} if isinstance(value, Mapping) else value


def _comparable(value: Any) -> Any:
    # Where weights came from before training plays no part in going on.
    return (
        {k: v for k, v in value.items() if k != "pretrained"} if isinstance(value, dict) else value
    )


def _cannot_go_on(path: str | Path, changed: str) -> CheckpointError:
    return CheckpointError(
        f"the run cannot go on from this checkpoint: {changed} now.",
        where=path,
        fix="resume with the settings of the run that wrote it (config.yaml in its folder).",
    )


def _another_schedule(
    path: str | Path, changed: str, scheduler: Mapping[str, Any], trainer: Mapping[str, Any]
) -> CheckpointError:
    name = str(scheduler.get("_target_")).rpartition(".")[2]
    return CheckpointError(
        f"the run cannot go on from this checkpoint: {changed} now, and {name} lays the learning "
        "rate out over the whole length of a run: another length is another schedule from the "
        "first step on, not more of this one.",
        where=path,
        fix="to finish the run, give the length that it was started with. For a run of another "
        "length, start one in another folder, without ckpt_path. A run that is to be trained on "
        "later needs a schedule without a length from the start: model.task.scheduler=null, or one "
        "that steps every epoch, such as StepLR or ReduceLROnPlateau.",
    )


def _progress(
    path: str | Path, epoch: object, before: Mapping[str, Any], now: Mapping[str, Any]
) -> str:
    """How far a checkpoint has come; `epoch` is its last one, counted from 0."""
    if not isinstance(epoch, int):
        return ""
    done, planned, length = epoch + 1, before.get("max_epochs"), now.get("max_epochs")
    if isinstance(length, int) and 0 <= length < done:
        raise CheckpointError(
            f"its run has {counted(done, 'epoch')} behind it, and trainer.max_epochs is {length}.",
            where=path,
            fix=f"set trainer.max_epochs to {done} or more, or start a run without ckpt_path.",
        )
    return f"after {done}{f' of {planned}' if planned else ''} epochs"
