"""The live display of a sweep: how far it is, its best trial, what became of the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn as Remaining

from covidlit.counted import counted
from covidlit.sweep.summary import (
    Summary,
    epochs_of,
    outcome,
    summarise,
    summarise_trials,
)
from covidlit.terminal import plain_console

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from rich.console import Console

log = logging.getLogger(__name__)


class SweepProgress:
    """A bar on the terminal, or a line in the log for each trial that ends where there is none.

    Args:
        n_trials: the total that the sweep goes on to.
        maximise: whether a higher value is better; a study that is given to `update` knows it.
        console: where to draw; None: the terminal.
    """

    def __init__(
        self, n_trials: int, *, maximise: bool = True, console: Console | None = None
    ) -> None:
        self.n_trials, self.maximise = n_trials, maximise
        self._console = console or plain_console()
        self._bar: Progress | None = None
        self._seen: set[int] | None = None

    def __enter__(self) -> SweepProgress:
        if self._console.is_terminal:
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("", total=self.n_trials)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, study_or_trials: Study | Sequence[FrozenTrial], running: int) -> None:
        """Show how the study stands.

        Args:
            study_or_trials: the study, or all its trials.
            running: number of trials that this sweeper has running.
        """
        if isinstance(study_or_trials, Sequence):
            summary = summarise_trials(study_or_trials, self.maximise)
        else:
            summary = summarise(study_or_trials)
        ended = [t for t in summary.trials if outcome(t) not in ("running", "waiting")]
        done = summary.counts["finished"] + summary.counts["pruned"]
        state = standing(summary, running)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=state)
        first = self._seen is None
        seen = self._seen or set()
        self._seen = {trial.number for trial in ended}
        new = [] if first else [trial for trial in ended if trial.number not in seen]
        for trial in new:
            text = describe_trial(trial)
            if self._bar is not None:
                self._bar.console.print(text)
            else:
                log.info("%s", text)
        if self._bar is None and (first or new):
            log.info("%d of %s: %s", done, counted(self.n_trials, "trial"), state)


def _bar(console: Console) -> Progress:
    columns = (
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        Remaining(),
    )
    return Progress(*columns, console=console)


def standing(summary: Summary, running: int) -> str:
    """The best value with its trial, and the counts, in one line."""
    counts = summary.counts
    parts = [f"{counts['pruned']} pruned", f"{counts['failed']} failed", f"{running} running"]
    best = summary.best
    if best is not None:
        parts.insert(0, f"best {best.value:.4g} (trial {best.number})")
    return ", ".join(parts)


def describe_trial(trial: FrozenTrial) -> str:
    """One line on a trial that has ended."""
    how = outcome(trial)
    epochs = epochs_of(trial)
    if how == "finished":
        return f"trial {trial.number}: {trial.value:.4g}"
    if how == "pruned":
        after = "" if epochs is None else f" after {counted(epochs, 'epoch')}"
        return f"trial {trial.number}: pruned{after}"
    reason = str(trial.user_attrs.get("reason", "no reason is known"))
    return f"trial {trial.number}: {'failed: ' if how == 'failed' else ''}{reason}"
