"""The command line that a page records, so that it can be made again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def recorded_command(name: str, arguments: Iterable[object], **options: object) -> str:
    """A command line of covidlit, quoted for a shell, with its options spelt out.

    Args:
        name: of the command.
        arguments: its arguments.
        options: by their Python names: `operating_point` stands for `--operating-point`. None is
            left out; a list gives the option several times.
    """
    words = ["covidlit", name, *map(str, arguments)]
    for option, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                words += [f"--{option.replace('_', '-')}", str(one)]
    return shlex.join(words)
