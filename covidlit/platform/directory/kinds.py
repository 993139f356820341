"""What a directory is asked for, and what it may answer."""

from __future__ import annotations

from typing import Any, Protocol

from django.http import HttpRequest


class Gone(Exception):  # noqa: N818 (an answer, not a fault)
    """The directory does not know the person any more, or not this log-in."""


class Unreachable(Exception):  # noqa: N818
    """The directory did not answer."""


class Directory(Protocol):
    """A directory that people of a session came from."""

    def groups_now(self, user: Any, request: HttpRequest) -> list[str]:
        """Groups that a person is in at this moment.

        Raises:
            Gone: the person is not in the directory, or the log-in has ended there.
            Unreachable: it does not answer.
        """
