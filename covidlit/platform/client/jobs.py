"""Long work on a platform, followed until it is over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from covidlit.platform.client.connection import Connection, PlatformError
from covidlit.platform.client.row import Row

FIRST_LOOK, LONGEST_LOOK = 0.5, 5.0
"""Seconds between two looks at a job, which grow from the first to the second."""


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
        own, wait = self, FIRST_LOOK
        last = None if longest is None else time.monotonic() + longest
        while not own.is_over:
            if last is not None and time.monotonic() > last:
                raise PlatformError(
                    f"it is not over after {longest:g} s.", where=f"job {self.id}",
                    fix="ask again later: wait().",
                )  # fmt: skip
            time.sleep(wait)
            wait = min(1.5 * wait, LONGEST_LOOK)
            own = own.now()
        if own.state != "done":
            raise PlatformError(
                f"it {own.state}: {own.message or 'no reason given'}", where=f"job {self.id}",
                fix="mend that, then try it again: again().",
            )  # fmt: skip
        return own


def job_in(connection: Connection, answer: Mapping[str, Any]) -> Job | None:
    """The job that an answer names; None where there is none yet."""
    return None if answer["job"] is None else Job.of(connection, answer["job"])
