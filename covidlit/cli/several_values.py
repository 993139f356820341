"""Options of several values, which may be given with commas: `--spacing 5,1.5,1.5`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperOption


class WithCommas(TyperCommand):
    """A command whose options of several values take them as words, or as one with commas."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give each value a word of its own, as the parser wants them."""
        several = {
            name: option.nargs
            for option in self.params
            if isinstance(option, TyperOption) and option.nargs > 1
            for name in option.opts
        }
        words: list[str] = []
        for word in args:
            name, given, value = word.partition("=")
            if given and name in several:
                words += [name, *_values(value, several[name])]
            elif words and words[-1] in several:
                words += _values(word, several[words[-1]])
            else:
                words.append(word)
        return super().parse_args(ctx, words)


def _values(word: str, n: int) -> list[str]:
    parts = [part.strip() for part in word.strip("[]()").split(",")]
    return parts if len(parts) == n else [word]
