"""The splits that runs keep: whether two are the same, and by which settings they differ."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.split import Split
from covidlit.errors import PredictionsError
from covidlit.evaluation.folds import model_numbers, number_of_folder
from covidlit.files import fingerprint

SPLIT_HASH = "split_hash"
"""Column of a table that names the split that its run was made on."""

SPLIT_PARTS = "split_parts"
"""Column with a hash of the parts alone: two splits with the same parts are the same, however their
settings were written (a fraction of 0 or 0.0)."""

SPLIT_SETTINGS = "split_settings"
"""Column with the settings of the split and the command of its run, as JSON."""


def with_splits(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The table of a run folder with what the folder says of its splits, as far as it does.

    Args:
        table: predictions.
        file: where it lies; `split.json`, or those of the folds, lie beside it or below.

    Raises:
        SplitError: a split was changed by hand.
        PredictionsError: `metrics.json` is no JSON.
    """
    record = _record(file.with_name("metrics.json"))
    whole = file.with_name("split.json")
    of_folds = sorted(file.parent.glob("fold_*/split.json"))
    paths = [whole] if whole.is_file() else of_folds
    splits = [Split.load(path) for path in paths]
    if whole.is_file():
        table[SPLIT_HASH] = splits[0].hash
    elif "split_hash" in record:
        table[SPLIT_HASH] = record["split_hash"]
    numbers = model_numbers(table)
    by_fold = {
        number_of_folder(path.parent.name): split for path, split in zip(paths, splits, strict=True)
    }
    if not splits or (len(splits) > 1 and not set(numbers.dropna()) <= set(by_fold)):
        return table
    command = record.get("command")
    rows = [splits[0] if len(splits) == 1 else by_fold.get(number) for number in numbers]
    known = {id(split): (_parts(split), _settings(split, command)) for split in splits}
    for place, name in enumerate((SPLIT_PARTS, SPLIT_SETTINGS)):
        table[name] = [None if one is None else known[id(one)][place] for one in rows]
    return table


def differing_settings(
    first: str | None, second: str | None, names: tuple[str, str]
) -> tuple[str, str]:
    """What tells the splits of two runs apart, and how to train the second on that of the first.

    Args:
        first, second: of the column `SPLIT_SETTINGS`, where known.
        names: of the runs.

    Returns:
        A sentence with the settings and both values, and what to do; empty texts where nothing is
        known.
    """
    if first is None or second is None:
        return "", ""
    one, other = json.loads(first), json.loads(second)
    own, others = _arguments(one), _arguments(other)
    # 0 and 0.0 are equal here, as they should be.
    changed = [name for name in dict.fromkeys([*own, *others]) if own.get(name) != others.get(name)]
    if not changed:
        return "The settings of both are the same: their manifests are not.", (
            "train both with the same manifest and label rule."
        )
    told = "; ".join(f"{name} {own.get(name)} against {others.get(name)}" for name in changed)
    told = f"The settings that differ: {told}."
    if "kind" in changed:
        return told, ""
    overrides = " ".join(
        shlex.quote(f"{'' if name == 'seed' else 'split.'}{name}={_written(own.get(name))}")
        for name in changed
    )
    known = f" (`{other['command']}`)" if other.get("command") else ""
    return told, f"train {names[1]}{known} again with {overrides}, as {names[0]} was."


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": settings["kind"], "seed": settings["seed"], **settings["arguments"]}


def _written(value: Any) -> str:
    """A value as a Hydra override takes it."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return "null" if value is None else str(value)


def _parts(split: Split) -> str:
    return fingerprint({"parts": split.parts, "manifest_hash": split.manifest_hash})


def _settings(split: Split, command: str | None) -> str:
    return json.dumps(
        {
            "kind": split.kind, "seed": split.seed, "arguments": split.arguments,
            "command": command,
        }
    )  # fmt: skip


def _record(metrics: Path) -> dict[str, Any]:
    if not metrics.is_file():
        return {}
    try:
        content = json.loads(metrics.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise PredictionsError(f"this is not JSON: {problem}.", where=metrics) from problem
    record = content.get("record", {}) if isinstance(content, dict) else {}
    return record if isinstance(record, dict) else {}
