"""The client of `covidlit predict --serve`: the same requests as the command's own parser makes."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import covidlit.cli.predict
import covidlit.progress
from covidlit.cli.app import app
from covidlit.cli.predict_client import _answer, _answered, plain_request
from covidlit.cli.predict_scans import ScanRequest
from covidlit.errors import CovidlitError
from covidlit.progress import ProgressBar

PLAIN = [
    "RUN SCANS --server S",
    "RUN SCANS --server=S --out a.csv --heatmaps=h",
    "--server S RUN --out x/../a.csv SCANS=1 --out b.parquet",
    "RUN SCANS --server S --override thickness --override=spacing --strict --timings",
    "RUN ./SCANS --batch-size 4 --jobs=2 --backend dask --server S --image-orientation LPS",
]
UNUSUAL = [
    "RUN SCANS",
    "RUN --server S",
    "RUN SCANS MORE --server S",
    "RUN SCANS --server S --threads 2",
    "RUN SCANS --server S --jobs -1",
    "RUN SCANS --server S --batch-size many",
    "RUN SCANS --server S --out",
    "RUN SCANS --server S --out --strict",
    "RUN SCANS --server S --strict=1",
    "RUN SCANS --server S --out=",
    "RUN SCANS --server S --unknown",
    "RUN SCANS --server S --help",
    "RUN --server S -- SCANS",
]


def _parsed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | None:
    """What the command asks its server for; None where it does not."""
    asked: list[dict[str, Any]] = []

    def ask(server: str, model: str, fields: dict[str, Any]) -> int:
        asked.append({"server": server, "model": model, **fields})
        return 0

    monkeypatch.setattr(covidlit.cli.predict, "ask_server", ask)
    CliRunner().invoke(app, ["predict", *words])
    return asked[0] if asked else None


@pytest.mark.parametrize("words", PLAIN)
def test_plain_words_ask_for_what_the_command_asks(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plain_request(words.split())
    assert plain is not None
    fields = {name: plain.pop(name) for name in ("server", "model")}
    for name in ("path", "out", "heatmaps"):
        if name in plain:
            plain[name] = Path(plain[name])
    if "override" in plain:
        plain["override"] = tuple(plain["override"])
    whole = ScanRequest(**{"out": Path("scores.csv"), **plain})
    assert {**fields, **whole.fields()} == _parsed(words.split(), monkeypatch)


def test_the_bar_goes_as_far_as_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[list[Any]] = []

    @contextmanager
    def shown(description: str, total: int) -> Iterator[ProgressBar]:
        bars.append([total])
        yield ProgressBar(advance=lambda: bars[-1].append(1), expect=lambda number: None)

    monkeypatch.setattr(covidlit.progress, "progress_bar", shown)
    client, server = socket.socketpair()
    answer = b'{"code": 0, "out": "", "err": ""}\n'
    with client, server:
        server.sendall(b"".join(b'{"done": %d, "of": 250}\n' % n for n in (0, 3, 250)) + answer)
        server.shutdown(socket.SHUT_WR)
        assert _answer(client, b"{}\n") == answer
    assert bars == [[250, *[1] * 250]]


def test_a_server_that_is_killed_as_it_tells_its_progress_has_not_answered() -> None:
    client, server = socket.socketpair()
    with server:
        server.sendall(b'{"done": 3, "o')
        server.shutdown(socket.SHUT_WR)
        with pytest.raises(CovidlitError, match=r"no answer.*Fix: start it again"):
            _answered(client, "S", "RUN", {"path": "SCANS"})


@pytest.mark.parametrize("words", UNUSUAL)
def test_unusual_words_are_left_to_the_command(words: str) -> None:
    assert plain_request(words.split()) is None


def test_every_option_that_goes_with_a_server_is_known() -> None:
    fields = {name for words in PLAIN for name in plain_request(words.split()) or {}}
    assert fields - {"server", "model"} == set(ScanRequest.__dataclass_fields__)


def test_the_client_imports_next_to_nothing() -> None:
    code = (
        "import sys\n"
        "from covidlit.cli import main, predict_client\n"
        "heavy = {'typer', 'typing', 'pathlib', 'dataclasses', 'numpy', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_command_imports_another() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['covidlit', 'predict', '--help']\n"
        "from covidlit.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'covidlit.cli.predict' in sys.modules\n"
        "assert 'covidlit.cli.inspect' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "covidlit predict [OPTIONS]" in done.stdout
