"""The console of everything that is printed: texts come out as they are, whatever they hold."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text


def plain_console(**options: Any) -> Console:
    """A console that shows texts, also those in tables, letter by letter.

    By itself rich takes "[old]" for markup and ":warning:" for a picture, and colours numbers,
    whereas names and paths of users may hold anything. What is to stand out has a style of its own:
    `print(text, style="yellow")`, or a `Text` (see `headed`).

    Args:
        options: of rich's `Console`, such as `stderr` or `file`.
    """
    return Console(markup=False, emoji=False, highlight=False, **options)


def headed(head: str, style: str, text: str) -> Text:
    """A text after a word in a style, such as a yellow "note"."""
    return Text.assemble((head, style), " ", text)
