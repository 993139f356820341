"""The models of a cross-validation: by fold, or where it is repeated by repeat and fold."""

from __future__ import annotations

import re

import pandas as pd

_STEP = 100_000
_FOLDER = re.compile(r"fold_(\d+)(?:_repeat_(\d+))?")


def model_number(fold: int, repeat: int | None = None) -> int:
    """A number of its own for the model of each fold and repeat: the fold, without repeats."""
    return fold if repeat is None else (repeat + 1) * _STEP + fold


def fold_and_repeat(number: int) -> tuple[int, int | None]:
    """The fold and repeat that `model_number` took."""
    repeat, fold = divmod(int(number), _STEP)
    return fold, repeat - 1 if repeat else None


def fold_name(number: int) -> str:
    """For messages: "3", or "3 of repeat 1"."""
    fold, repeat = fold_and_repeat(number)
    return str(fold) if repeat is None else f"{fold} of repeat {repeat}"


def model_numbers(table: pd.DataFrame) -> pd.Series:
    """Which model scored each row of a predictions table, Int64; null where it has no fold."""
    fold = table["fold"].astype("Int64")
    if "repeat" not in table:
        return fold
    repeat = table["repeat"].astype("Int64")
    return fold.where(repeat.isna(), (repeat + 1) * _STEP + fold)


def fold_folder(fold: int, repeat: int | None = None) -> str:
    """The folder of a fold in that of its run."""
    return f"fold_{fold}" if repeat is None else f"fold_{fold}_repeat_{repeat}"


def number_of_folder(name: str) -> int:
    """The `model_number` of a `fold_folder`; -1 for another name."""
    match = _FOLDER.fullmatch(name)
    if match is None:
        return -1
    return model_number(int(match[1]), None if match[2] is None else int(match[2]))
