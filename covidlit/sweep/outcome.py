"""How a trial's job ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from hydra.core.utils import JobReturn

from covidlit.errors import CovidlitError

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"


@dataclass(frozen=True)
class Outcome:
    """The end of a trial's job.

    Args:
        state: complete, pruned or failed.
        value: of the objective, where it is complete.
        reason: one line, where it failed or was pruned.
        seconds: wall-clock seconds of the job.
        timing: wall-clock seconds of what was done around it, by name.
        clean: whether the process that ran it can run another.
    """

    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    reason: str | None = None
    seconds: float | None = None
    timing: dict[str, float] = field(default_factory=dict)
    clean: bool = True


def failed(reason: str, seconds: float | None = None, clean: bool = False) -> Outcome:
    """A failure with its reason."""
    return Outcome("failed", reason=reason, seconds=seconds, clean=clean)


def outcome_of(returned: JobReturn, seconds: float | None = None) -> Outcome:
    """Read what Hydra's `run_job` returned."""
    try:
        return outcome_of_value(returned.return_value, seconds)
    except Exception as error:  # whatever the job raised: it is recorded, and the sweep goes on
        return outcome_of_error(error, seconds)


def outcome_of_value(value: Any, seconds: float | None = None) -> Outcome:
    """A finite number is a finished trial; anything else has failed."""
    if value is None:
        return failed("it returned no value of the objective.", seconds, clean=True)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return failed(f"it returned {value!r}, which is not a number.", seconds, clean=True)
    if not math.isfinite(number):
        return failed(f"the objective is {number}.", seconds, clean=True)
    return Outcome("complete", value=number, seconds=seconds)


def outcome_of_error(error: BaseException, seconds: float | None = None) -> Outcome:
    """A pruned trial, or a failure with the error's first line.

    After an error that covidlit did not raise on purpose (memory that is exhausted, a fault of the
    GPU), the process may be unable to run another trial.
    """
    if isinstance(error, optuna.TrialPruned):
        return Outcome("pruned", reason=str(error) or None, seconds=seconds)
    if isinstance(error, CovidlitError):
        return failed(str(error), seconds, clean=True)
    text = " ".join(str(error).split())[:500]
    return failed(f"{type(error).__name__}: {text}" if text else type(error).__name__, seconds)
