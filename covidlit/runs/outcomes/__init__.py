"""What a run is after: the tables that it makes of its model, and the report of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covidlit.runs.outcomes.outcome import Outcome
    from covidlit.runs.runner import Runner

OUTCOMES = {
    "classification": "covidlit.runs.outcomes.classification.Classification",
    "segmentation": "covidlit.runs.outcomes.segmentation.Segmentation",
    "survival": "covidlit.runs.outcomes.survival.Survival",
}
"""Outcomes by the name that a task gives as its `outcome`."""


def outcome_of(runner: Runner) -> Outcome:
    """The outcome that a runner's task names; one of the user's own by its dotted path."""
    module, _, name = OUTCOMES.get(runner.outcome, runner.outcome).rpartition(".")
    found: Outcome = getattr(import_module(module), name)()
    return found
