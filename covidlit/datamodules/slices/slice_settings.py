"""The node `data` of a run of labelled slices as arguments of its datamodule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from covidlit.arguments import require_whole_number
from covidlit.cohort.slice_criteria import SliceChoice
from covidlit.counted import counted
from covidlit.datamodules.arguments import as_window, config_errors
from covidlit.datamodules.cohort_data import RunSettings
from covidlit.datamodules.slices.channels import CHANNELS, WINDOWS
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, did_you_mean
from covidlit.settings.keys import check_keys
from covidlit.settings.words import AUTO

Windows = tuple[tuple[float, float], ...]


def slice_arguments(
    settings: Mapping[str, Any], run: RunSettings, known: Iterable[str]
) -> dict[str, Any]:
    """The arguments of a `SliceDataModule`; makes the table of slices of the source.

    Args:
        settings: the node, without `_target_`.
        run: what the run settles beside it.
        known: names of the datamodule's arguments.

    Raises:
        ConfigError: a setting that does not exist or does not fit.
    """
    data = dict(settings)
    source = data.pop("source")
    if data["batch_size"] == AUTO:  # the runner settles it; nothing is loaded before
        data["batch_size"] = 1
    min_slices = data.pop("min_slices", 1)
    require_whole_number(min_slices, "data.min_slices", at_least=1)
    choice = data.pop("choice", None)
    with config_errors("data.choice"):
        chosen = SliceChoice(**dict(choice or {}))
    given = {
        "split": run.split,
        "augmentation": run.augmentation,
        "inclusion": run.build(run.inclusion, "inclusion") if run.inclusion else None,
        "choice": chosen,
        "checks": Checks(
            min_slices,
            frozenset(data.pop("override_checks", None) or ()),
            data.pop("image_orientation", None),
        ),
        "seed": run.seed,
        "strict": run.strict,
    }
    check_keys("data", data, set(known) - {"slices", *given})
    return {"slices": str(run.build(source, "sources")), **given, **data}


def as_windows(value: Any, channels: str) -> Windows:
    """One window of each channel, or the one of all; None: those of `WINDOWS`.

    Raises:
        ConfigError: another number of windows than the channels need, or no windows.
    """
    if channels not in CHANNELS:
        raise ConfigError(
            f"there are no channels {channels!r}.",
            where="data.channels",
            fix=did_you_mean(str(channels), CHANNELS) or f"use one of {', '.join(CHANNELS)}.",
        )
    needed = 3 if channels == "windows" else 1
    windows = list(WINDOWS[:needed] if value is None else value)
    if len(windows) != needed:
        raise ConfigError(
            f"channels={channels} needs {counted(needed, 'window')}, and there are {len(windows)}.",
            where="data.windows",
            fix="give [lowest HU, highest HU] of each, such as "
            f"{[list(w) for w in WINDOWS[:needed]]}.",
        )
    return tuple(as_window(window) for window in windows)


def as_size(value: Any) -> tuple[int, int] | None:
    """Rows and columns, or None for each slice's own.

    Raises:
        ConfigError: no two whole numbers.
    """
    if value is None:
        return None
    if not (isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2):
        raise ConfigError(
            f"must be [rows, columns] or null, not {value!r}.",
            where="data.size",
            fix="give null for the slices' own size.",
        )
    for side in value:
        require_whole_number(side, "data.size", at_least=16)
    return int(value[0]), int(value[1])
