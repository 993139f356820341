"""All that is wrong with a COCO file, in one error."""

from __future__ import annotations

from pathlib import Path

from covidlit.cohort.coco.content import CocoError

_LISTED = 5
_SHOWN = 60


class Problems:
    """Collects what is wrong with a file, so that it can be mended at once.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[str, str]] = []

    def add(self, what: str, fix: str) -> None:
        """Note a problem: what names the image, annotation or category by its id."""
        self._found.append((what, fix))

    def check(self) -> None:
        """Refuse the file if there was any.

        Raises:
            CocoError: the first few problems, and how to mend them.
        """
        if not self._found:
            return
        shown = self._found[:_LISTED]
        more = len(self._found) - len(shown)
        fixes = dict.fromkeys(fix for _, fix in shown)
        raise CocoError(
            "; ".join(what for what, _ in shown) + (f" (and {more} more)" if more else "") + ".",
            where=self._path,
            fix="; ".join(fixes) + ".",
        )


def shown(value: object) -> str:
    """A value as a message has it, cut to a line's length."""
    if isinstance(value, list | tuple | dict):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number too large"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
