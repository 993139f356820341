"""Several things that are wrong with a table, told in one message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from covidlit.errors import ManifestError


class Together:
    """Collects the errors of checks that do not need each other, so that none hides the next."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._errors: list[ManifestError] = []

    @contextmanager
    def check(self) -> Iterator[None]:
        """Keep the ManifestError of the block, and go on behind it."""
        try:
            yield
        except ManifestError as error:
            self._errors.append(error)

    def raise_all(self) -> None:
        """Raise what was kept, if anything.

        Raises:
            ManifestError: the only one, or one with the texts and mends of all.
        """
        if not self._errors:
            return
        if len(self._errors) == 1:
            raise self._errors[0]
        texts = [
            f"({place}) {error.what}{f' Fix: {error.fix}' if error.fix else ''}"
            for place, error in enumerate(self._errors, 1)
        ]
        raise ManifestError(
            f"{len(texts)} kinds of things are to be mended: {' '.join(texts)}", where=self.where
        )
