"""What the command `covidlit` runs: nothing is imported but what the asked command takes."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the words on the command line name, and end with its exit code."""
    words = sys.argv[1:]
    if words[:1] == ["predict"]:
        from covidlit.cli.predict_client import served

        if (code := served(words[1:])) is not None:
            sys.exit(code)
    from covidlit.cli.commands import COMMANDS, application

    named = [name for name in COMMANDS if words[:1] == [name]]
    application(named or COMMANDS)(prog_name="covidlit")
