"""The progress bar of everything that goes through many scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn as Remaining

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class ProgressBar:
    """A bar on the terminal.

    Args:
        advance: call it after each step.
        expect: tells how many steps there are, where this was not known at the start.
    """

    advance: Callable[[], None]
    expect: Callable[[int], None]


@contextmanager
def progress_bar(
    description: str, total: int | None, *, show: bool = True, console: Console | None = None
) -> Iterator[ProgressBar]:
    """Show how many steps are done, how many there are and how long the rest will take.

    Args:
        description: stands before the bar.
        total: number of steps; None: not known yet. With 0 nothing is shown.
        show: False: nothing is shown.
        console: where else is printed meanwhile; None: rich's own.
    """
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, disable=not show or total == 0) as shown:
        task = shown.add_task(description, total=total)
        yield ProgressBar(
            advance=lambda: shown.advance(task),
            expect=lambda number: shown.update(task, total=number),
        )
