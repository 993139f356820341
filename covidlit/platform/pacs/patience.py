"""Trying again while an archive is gone, after growing pauses."""

from __future__ import annotations

from time import sleep

from covidlit.platform.jobs.process import Say
from covidlit.platform.pacs.errors import Unreachable
from covidlit.platform.pacs.settings import DicomwebArchive, DimseArchive


class Patience:
    """Counts how often an archive was gone in a row.

    Args:
        archive: with its number of tries and first pause.
    """

    def __init__(self, archive: DicomwebArchive | DimseArchive) -> None:
        self._archive = archive
        self.renew()

    def renew(self) -> None:
        """It answered: it may be gone as often as at first."""
        self._tries, self._pause = 0, self._archive.pause_seconds

    def wait(self, error: Unreachable, say: Say, share_done: float) -> None:
        """Pause before the next try.

        Raises:
            Unreachable: it was gone too often.
        """
        self._tries += 1
        if self._tries >= self._archive.tries:
            raise Unreachable(
                f"{error.what.rstrip('.')}, {self._tries} times in a row.",
                where=f"archive {self._archive.name}", fix=error.fix,
            ) from error  # fmt: skip
        say(f"{error.what} Next try in {self._pause:.0f} s", share_done)
        sleep(self._pause)
        self._pause *= 2
