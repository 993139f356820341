"""Paths that Hydra's grammar stumbles over: the error's own advice, followed, sets the path."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from covidlit.settings.errors import translate
from covidlit.settings.tree import config_dir
from covidlit.settings.words import typed_setting


def path_of(*overrides: str) -> str:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("train", ["data=manifest", *overrides]).data.source.path


@pytest.mark.parametrize(
    "path",
    ["a=b/m.csv", "x, y/m.csv", "x,y.csv", "CT (2020) #1/m.csv", "дані/m.csv", "CT [1]/m.csv",
     "it's/m.csv", 'the "one"/m.csv', "a{b}/m.csv", "~/m.csv", "(a)/m.csv", "epoch=0-step=2.ckpt"],
)  # fmt: skip
def test_the_advice_sets_the_path(path: str) -> None:
    argument = f"data.source.path={path}"
    with pytest.raises(HydraException) as caught:
        path_of(argument)
    error = translate(caught.value, ["data=manifest", argument])
    assert error.where == argument
    assert "quote" in (error.fix or "")
    (quoted,) = shlex.split((error.fix or "").partition("for the shell: ")[2].removesuffix("."))
    assert path_of(quoted) == path


def test_a_call_of_the_grammar_is_not_quoted_away() -> None:
    with pytest.raises(HydraException) as caught:
        path_of("data.source.path=choice(a")
    assert "quote" not in (translate(caught.value, ["data.source.path=choice(a"]).fix or "")


def test_the_command_gives_the_advice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from covidlit.cli.app import app; app()", "train", "data=manifest",
         "data.source.path=a=b/m.csv"],
        capture_output=True,
        cwd=tmp_path,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "'data.source.path=\"a=b/m.csv\"'" in done.stderr


@pytest.mark.parametrize(
    "path",
    ["m.csv", "a/b-1_2.csv", "co[old]/m.csv", "a, b/m.csv", "it's/m.csv", 'the "new"/m.csv', "1",
     "1.5", ".5", "1.e5", "null", "Größe/m.csv", "a=b/{c}.csv", "a(b)/m.csv", "key:value/m.csv"],
)  # fmt: skip
def test_a_path_is_the_same_behind_shell_and_hydra(path: str) -> None:
    (word,) = shlex.split(typed_setting("data.cache_dir", Path(path)))
    found = OverridesParser.create().parse_override(word)
    assert found.key_or_group == "data.cache_dir"
    assert found.value() == path
    assert not found.is_sweep_override()
