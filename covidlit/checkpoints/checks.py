"""Contract 10, the checkpoint: what is checked of one before it is used, whoever has read it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from covidlit.checkpoints.size import MOST_VALUES, n_plain_values, too_large
from covidlit.errors import CheckpointError, ConfigError
from covidlit.process import archive_problem
from covidlit.settings.targets import is_allowed, targets_in

CHECKPOINT_FORMAT = 1
"""Raised when what a checkpoint holds under "covidlit" changes its meaning."""

RETRAIN = "use a checkpoint that covidlit wrote (runs/<name>/<date>/checkpoints/)."
GARBLED = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError,
    RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What reading bytes that are no checkpoint has been seen to raise."""

_NEEDED = ("state_dict", "hyper_parameters", "covidlit")


def check_file(path: Path) -> None:
    """Refuse what is no file, no network's, or would fill the memory.

    Raises:
        CheckpointError: it is.
    """
    if not path.is_file():
        folder = path if path.is_dir() else path.parent
        there = sorted({*folder.glob("*.ckpt"), *folder.glob("checkpoints/*.ckpt")})
        listed = ", ".join(str(found.relative_to(folder)) for found in there)
        raise CheckpointError(
            "it is a folder." if path.is_dir() else "there is no such file.",
            where=path,
            fix=f"choose one of {listed} in {folder}." if there else "check the path.",
        )
    if path.suffix == ".skops":
        raise CheckpointError(
            "this is a classical baseline, not the checkpoint of a network: it has no heatmaps and "
            "no export, and cannot be trained on.",
            where=path,
            fix="give the checkpoint of a network; `covidlit predict` takes this file as it is.",
        )
    # torch.save does not compress.
    if problem := archive_problem(path, expansion=1.1, spare=16 << 20):
        raise CheckpointError(f"{problem}.", where=path, fix=RETRAIN)


def check_content(content: Any, path: Path, weight_type: type) -> None:
    """Refuse a content that is not what covidlit writes, or asks for a class that may not be built.

    Args:
        content: of the file.
        path: of it.
        weight_type: of its weights, `torch.Tensor` or `numpy.ndarray`.

    Raises:
        CheckpointError: names what was found.
    """
    if not isinstance(content, dict) or any(name not in content for name in _NEEDED):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(
            f"this is not a checkpoint of covidlit: it holds {found}.", where=path, fix=RETRAIN
        )
    own = content["covidlit"]
    written = own.get("format") if isinstance(own, Mapping) else None
    if written != CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"the checkpoint has format {written!r}, this version of covidlit reads "
            f"{CHECKPOINT_FORMAT}.",
            where=path,
            fix="use the version of covidlit that wrote it, or train again.",
        )
    _check_parts(content, path, weight_type)
    _check_size(content, path)
    _check_targets(content, path)


@contextmanager
def described(path: object) -> Iterator[None]:
    """Say of what fails while a network is built that the checkpoint's hyper-parameters are wrong.

    Raises:
        CheckpointError: from what was raised.
    """
    try:
        yield
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"its hyper-parameters do not describe a network: {error}", where=path, fix=RETRAIN
        ) from error


def damaged(path: Path) -> CheckpointError:
    """What is raised of a file that cannot be read."""
    # What the reader stumbled over first says nothing about the file.
    return CheckpointError(
        f"the file ({path.stat().st_size} bytes) is truncated or not a checkpoint.",
        where=path,
        fix="copy it again, or take an earlier checkpoint.",
    )


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """What is raised of a file that the system does not give out."""
    return CheckpointError(
        f"the file cannot be read: {error.strerror or error}.",
        where=path,
        fix="check its permissions and the disk.",
    )


def untrusted(path: Path, names: Sequence[str]) -> CheckpointError:
    """What is raised of a file that would run something.

    Args:
        path: of it.
        names: of what it would run.
    """
    return CheckpointError(
        f"untrusted: it would run {', '.join(dict.fromkeys(names))} on loading. Nothing "
        "was executed.",
        where=path,
        fix="do not use this file; get the checkpoint from a source that you trust.",
    )


def _check_parts(checkpoint: Mapping[str, Any], path: Path, weight_type: type) -> None:
    """Refuse a checkpoint whose parts are not what their names say."""
    own, weights = checkpoint["covidlit"], checkpoint["state_dict"]
    parts = {
        "hyper_parameters": checkpoint["hyper_parameters"],
        "state_dict": weights,
        "covidlit.record": own.get("record"),
    }
    for name, part in parts.items():
        if not isinstance(part, Mapping):
            _refuse_part(path, name, "a mapping", part)
    for name, weight in weights.items():
        if not isinstance(weight, weight_type):
            _refuse_part(path, f"state_dict.{name}", "a tensor", weight)


def _check_size(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Refuse what would take for ever to go through, or to build."""
    plain = {name: part for name, part in checkpoint.items() if name != "state_dict"}
    problem = too_large(checkpoint["hyper_parameters"], checkpoint["state_dict"])
    if n_plain_values(plain) > MOST_VALUES:
        problem = f"it holds more than {MOST_VALUES} values beside its weights"
    if problem:
        raise CheckpointError(f"the checkpoint is damaged: {problem}.", where=path, fix=RETRAIN)


def _refuse_part(path: Path, name: str, wanted: str, found: object) -> None:
    raise CheckpointError(
        f"the checkpoint is damaged: its `{name}` is {wanted} in a whole one, and "
        f"{type(found).__name__} here.",
        where=path,
        fix=RETRAIN,
    )


def _check_targets(checkpoint: Mapping[str, Any], path: Path) -> None:
    targets = list(targets_in(checkpoint["hyper_parameters"], "hyper_parameters"))
    targets.append(("covidlit.task", checkpoint["covidlit"].get("task")))
    for place, target in targets:
        if not is_allowed(target, "tasks" if place == "covidlit.task" else None):
            raise CheckpointError(
                f"untrusted: `{place}` asks for {target!r}, which is not a class that may be "
                "built. Nothing was executed.",
                where=path,
                fix="do not use this file; if the class is your own, allow it first with "
                "covidlit.checkpoints.allow_target.",
            )
