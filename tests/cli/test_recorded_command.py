"""The command line that a page records."""

from __future__ import annotations

import shlex
from pathlib import Path

from covidlit.cli.recorded_command import recorded_command


def test_a_shell_reads_the_same_words_again() -> None:
    command = recorded_command(
        "evaluate", ["a b.csv", Path("c.csv")], operating_point="specificity>=0.9", seed=0,
        layer=None, subgroup=["sex", "age"], skipped=[],
    )  # fmt: skip
    assert shlex.split(command) == [
        "covidlit", "evaluate", "a b.csv", "c.csv", "--operating-point", "specificity>=0.9",
        "--seed", "0", "--subgroup", "sex", "--subgroup", "age",
    ]  # fmt: skip
