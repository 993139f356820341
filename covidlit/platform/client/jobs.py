"""Long work on a platform, followed until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from covidlit.platform.client.connection import Connection, PlatformError
from covidlit.platform.client.row import Row

ENDED = ("failed", "cancelled")
"""States of a job that will not be done."""

_FIRST_LOOK, _LONGEST_LOOK = 0.5, 5.0
"""Seconds between two looks, which grow from the first to the second."""

Own = TypeVar("Own")


@dataclass(frozen=True, kw_only=True)
class Job(Row):
    """Long work on the platform, as it was when asked for.

    Args:
        id: number of it.
        kind: what it does.
        state: "waiting", "running", "done", "failed" or "cancelled".
        progress: what it is at.
        share_done: 0 to 1.
        message: why it failed, or what there is to say.
        is_over: nothing more will happen with it.
        n_before: jobs, of whomever, that are done before it while it waits; else None.
    """

    id: int
    kind: str
    centre: str
    study_group: str
    state: str
    progress: str
    share_done: float
    message: str
    is_over: bool
    n_before: int | None

    def now(self) -> Job:
        """It as it is now."""
        return Job.of(self.connection, self.connection.get(f"/jobs/{self.id}"))

    def again(self) -> Job:
        """Try it again, where it failed or was cancelled."""
        return Job.of(self.connection, self.connection.post(f"/jobs/{self.id}/again"))

    def cancel(self) -> Job:
        """Ask it to end."""
        return Job.of(self.connection, self.connection.post(f"/jobs/{self.id}/cancel"))

    def wait(self, longest: float | None = None) -> Job:
        """Wait until it is done.

        Args:
            longest: seconds; None: however long it takes.

        Raises:
            PlatformError: it took longer, it failed or was cancelled, or the connection was lost.
        """
        return until(
            self, Job.now, lambda own: own.state == "done", longest,
            lambda own: f"it {own.state}: {own.message}" if own.state in ENDED else "",
            f"job {self.id}", "mend that, then try it again: again().",
        )  # fmt: skip


def until(
    own: Own,
    now: Callable[[Own], Own],
    is_over: Callable[[Own], bool],
    longest: float | None,
    trouble: Callable[[Own], str],
    where: str,
    fix: str,
) -> Own:
    """Look at something again and again until it is over.

    Args:
        own: as it was.
        now: looks at it.
        is_over: whether that is what was waited for.
        longest: seconds; None: however long it takes.
        trouble: why it never will be; empty: it still may.
        where, fix: of the error.

    Raises:
        PlatformError: it took longer, it never will be, or the connection was lost.
    """
    wait = _FIRST_LOOK
    last = None if longest is None else time.monotonic() + longest
    while not is_over(own):
        if why := trouble(own):
            raise PlatformError(why, where=where, fix=fix)
        if last is not None and time.monotonic() > last:
            raise PlatformError(
                f"it is not over after {longest:g} s.", where=where, fix="wait for it again later."
            )
        time.sleep(wait)
        wait = min(1.5 * wait, _LONGEST_LOOK)
        own = now(own)
    return own


def job_in(connection: Connection, answer: Mapping[str, Any]) -> Job | None:
    """The job that an answer names; None where there is none yet."""
    return None if answer["job"] is None else Job.of(connection, answer["job"])
