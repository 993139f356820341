"""`covidlit predict --serve` as a real process, and the clients that ask it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.checkpoints.of_run import model_of_run
from covidlit.cli.predict_scans import ScanModel
from covidlit.cli.predict_server import PredictServer
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.explain.scale import store_scale
from covidlit.version import __version__

COVIDLIT = [sys.executable, "-m", "covidlit", "predict"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scans(tiny_data: Path) -> Path:
    table = read_manifest(Path((tiny_data / "manifest_path").read_text()))
    some = table.iloc[np.linspace(0, len(table) - 1, 2).astype(int)]
    return write_manifest(some, tiny_data / "two_to_serve.csv")


def _start(model: Path, at: Path) -> subprocess.Popen[str]:
    words = [*COVIDLIT, str(model), "--serve", str(at), "--threads", "1", "--device", "cpu"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert "Serving" in server.stdout.readline()  # once it can answer
    return server


@pytest.fixture(scope="module")
def run(once: Callable[..., Path], csacnet_run: Path) -> Path:
    """A copy of a run, whose model carries a scale of heatmaps."""

    def make(folder: Path) -> None:
        shutil.copytree(csacnet_run, folder, dirs_exist_ok=True)
        store_scale(model_of_run(folder), "module3", "guided", 0.01)

    return once("run_to_serve", make)


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Path]:
    """The socket of a server of a run."""
    with TemporaryDirectory() as folder:  # pytest's own is too long for a socket
        at = Path(folder, "socket")
        process = _start(run, at)
        yield at
        assert process.poll() is None  # whatever was asked
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not at.exists()


def _ask(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COVIDLIT, *map(str, words)], capture_output=True, text=True)


def _exchange(server: Path, sent: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server))
        connection.sendall(sent)
        if not sent.endswith(b"\n"):
            connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    said: dict[str, Any] = json.loads(answer)
    return said


def test_the_outputs_are_those_of_the_command(
    server: Path, run: Path, scans: Path, tmp_path: Path
) -> None:
    printed = {}
    for name, words in {
        "alone": ("--device", "cpu", "--threads", 1),
        "served": ("--server", server),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        done = _ask(run, scans, *words, "--out", folder / "scores.csv", "--heatmaps", folder / "h")
        assert done.returncode == 0, done.stderr
        text = re.sub("Scoring scans .*", "", done.stdout)  # how far it is, while it computes
        # Lines are broken where the folder's name wants it.
        printed[name] = "".join(text.split()).replace(str(folder), "FOLDER")
    alone, served = tmp_path / "alone", tmp_path / "served"
    pd.testing.assert_frame_equal(
        *(pd.read_csv(folder / "scores.csv") for folder in (alone, served)), rtol=1e-5
    )
    names = sorted(path.name for path in (alone / "h").iterdir())
    assert names == sorted(path.name for path in (served / "h").iterdir())
    assert len(names) == 2 * 2 + 1
    assert printed["alone"] == printed["served"]


def test_a_client_that_asks_is_told_how_far_it_is(
    server: Path, run: Path, scans: Path, tmp_path: Path
) -> None:
    asked = {"path": str(scans), "out": str(tmp_path / "scores.csv")}
    whole = {"version": __version__, "model": str(run), "columns": 80, "colours": False,
             "progress": True, "asked": asked}  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server))
        connection.sendall(json.dumps(whole).encode() + b"\n")
        *told, answer = map(json.loads, connection.makefile("rb"))
    assert told == [{"done": done, "of": 2} for done in range(3)]
    assert answer["code"] == 0


def test_only_the_owner_may_open_the_socket(server: Path) -> None:
    assert stat.S_IMODE(server.stat().st_mode) == 0o600


def test_several_clients_at_once_each_get_their_own(
    server: Path, run: Path, scans: Path, tmp_path: Path
) -> None:
    def ask(number: int) -> subprocess.CompletedProcess[str]:
        out = tmp_path / f"{number}.csv"
        return _ask(run, scans, "--server", server, "--out", out)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(ask, range(4)))
    assert [one.returncode for one in done] == [0] * 4, [one.stderr for one in done]
    for number, one in enumerate(done):
        assert f"{number}.csv" in "".join(one.stdout.split())
    tables = [pd.read_csv(tmp_path / f"{number}.csv") for number in range(4)]
    assert all(table.equals(tables[0]) for table in tables)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "has no end"),
        (b"{}", "has no end"),
        (b"\xff\xfe\n", "no JSON"),
        (b"[1]\n", "no JSON object"),
        (b"{}\n", "is missing"),
        (b"[" * 100_000 + b"\n", "no JSON"),
        ({"model": "/a\0b"}, "zero byte"),
        ({"model": "/\ud800"}, "model: it holds '\\ud800'"),
        ({"asked": {"path": "/a\0b", "out": "/b.csv"}}, "zero byte"),
        ({"asked": {"path": "/\ud800", "out": "/b.csv"}}, "path: it holds '\\ud800'"),
        ({"asked": {"path": "/a", "out": "/\ud800.csv"}}, "out: it holds"),
        ({"asked": {"path": "/a", "out": "/b.csv", "heatmaps": "/\udfff"}}, "heatmaps: it holds"),
        ({"asked": {"path": "/a", "out": "/b.csv", "override": ["\ud800"]}}, "override: it holds"),
        ({"asked": {"path": "/" + "a" * 300, "out": "/tmp/b.csv"}}, "File name too long"),
        ({"asked": {"path": "/a" * 3000, "out": "/tmp/b.csv"}}, "File name too long"),
        ({"asked": {"path": "/", "out": f"/{'b' * 300}.csv"}}, "File name too long"),
        ({"asked": {"path": "/", "out": f"/tmp/{'b' * 240}.csv"}}, "File name too long"),
        ({"asked": {"path": "/", "out": "/tmp/b.csv", "heatmaps": "/" + "h" * 300}}, "too long"),
        (b"x" * (2 << 20) + b"\n", "longer than 1 MB"),
        ({"version": "0"}, "the client 0"),
        ({"version": "9", "more": 1}, "the client 9"),
        ({"model": "/elsewhere"}, "serves"),
        ({"columns": "wide"}, "must be int"),
        ({"columns": 10**30}, "columns: it must be from 1 to"),
        ({"columns": -1}, "columns: it must be from 1 to"),
        ({"more": 1}, "no such field"),
        ({"asked": {"path": "/a", "out": "scores.csv"}}, "is not absolute"),
        ({"asked": {"path": "/a", "out": "/b.csv", "batch_size": True}}, "must be int"),
        ({"asked": {"path": "/a", "out": "/b.csv", "override": [1]}}, "list of names"),
        ({"asked": {"path": "/a", "out": "/tmp/b.csv", "batch_size": 10**30}}, "at most"),
        ({"asked": {"path": "/a", "out": "/tmp/b.csv", "batch_size": -1}}, "at least 1"),
        ({"asked": {"path": "/a", "out": "/tmp/b.csv", "jobs": 10**30}}, "at most"),
        ({"asked": {"path": "/a", "out": "/tmp/b.csv", "jobs": 0}}, "other than 0"),
        ({"asked": {"path": "/not/there", "out": "/tmp/b.csv"}}, "/not/there"),
        ({"asked": {"path": "/a", "out": "/b.xlsx"}}, "must end in .csv"),
    ],
)
def test_bad_input_is_answered_and_does_not_end_the_server(
    server: Path, run: Path, sent: bytes | dict[str, Any], reason: str
) -> None:
    if isinstance(sent, dict):
        asked = {"path": "/a", "out": "/b.csv"}
        whole = {"version": __version__, "model": str(run), "columns": 80,
                 "colours": False, "asked": asked, **sent}  # fmt: skip
        sent = json.dumps(whole).encode() + b"\n"
    said = _exchange(server, sent)
    assert said["code"] == 2
    assert reason in said["err"]
    assert said["err"].startswith("error: ")
    assert "a fault while" not in said["err"]


def test_a_refused_scan_and_a_path_that_is_not_there_are_told(
    server: Path, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.nii").write_bytes(b"no image")
    out = tmp_path / "scores.csv"
    done = _ask(run, tmp_path / "bad.nii", "--server", server, "--out", out)
    assert done.returncode == 1  # no scan could be scored
    assert pd.read_csv(out)["status"].tolist() == ["refused"]
    done = _ask(run, tmp_path / "none", "--server", server, "--out", out)
    assert done.returncode == 2
    assert "error: " in done.stderr


def test_a_killed_client_and_a_silent_one_leave_the_server_to_others(
    server: Path, run: Path, scans: Path, tmp_path: Path
) -> None:
    words = [*COVIDLIT, str(run), str(scans), "--server", str(server)]
    killed = subprocess.Popen([*words, "--out", str(tmp_path / "killed.csv")])
    time.sleep(0.5)
    killed.kill()
    killed.wait()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(server))
        done = _ask(run, scans, "--server", server, "--out", tmp_path / "scores.csv")
        assert done.returncode == 0, done.stderr


def test_options_of_the_server_are_refused_by_the_client(
    server: Path, run: Path, scans: Path
) -> None:
    done = _ask(run, scans, "--server", server, "--threads", "2")
    assert done.returncode == 2
    assert "--threads" in done.stderr
    done = _ask(run, scans, "--serve", "somewhere")
    assert "does not go with --serve" in done.stderr


def test_where_no_server_listens_the_client_says_how_to_start_one(
    run: Path, scans: Path, tmp_path: Path
) -> None:
    for name in ("nothing", "x" * 200):
        done = _ask(run, scans, "--server", name, "--out", tmp_path / "scores.csv")
        assert done.returncode == 2
        assert "error: " in done.stderr
    assert "--serve" in _ask(run, scans, "--server", "nothing").stderr
    assert "PATH" in _ask(run).stderr


def test_a_place_that_is_taken_is_refused_and_a_dead_servers_is_used_again(
    server: Path, run: Path
) -> None:
    done = _ask(run, "--serve", server)
    assert done.returncode == 2
    assert re.search(r"a server of .* answers there, process \d+\..*`kill \d+`", done.stderr)
    with TemporaryDirectory() as folder:
        at = Path(folder, "socket")
        at.write_text("a file")
        assert _ask(run, "--serve", at).returncode == 2
        assert at.read_text() == "a file"
        at.unlink()
        killed = _start(run, at)
        killed.kill()
        killed.wait()
        assert at.is_socket()
        again = _start(run, at)
        again.send_signal(signal.SIGINT)
        assert again.wait(60) == 0
        assert not at.exists()


def test_a_server_that_ends_leaves_the_place_to_the_next(run: Path) -> None:
    """Its socket is gone, and the next one may lie on the same inode."""
    with TemporaryDirectory() as folder:
        at = Path(folder, "socket")
        first = PredictServer(ScanModel(run, "auto", "cpu", 1), at)
        first.close()
        second = PredictServer(ScanModel(run, "auto", "cpu", 1), at)
        first.close()
        assert at.is_socket()
        second.close()
        assert not at.exists()


def test_a_model_that_changed_is_loaded_again(run: Path, scans: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.ckpt"
    checkpoints = run / "checkpoints"
    shutil.copy(checkpoints / "last.ckpt", model)
    with TemporaryDirectory() as folder:
        at = Path(folder, "socket")
        server = _start(model, at)
        try:
            first = _ask(model, scans, "--server", at, "--out", tmp_path / "first.csv")
            assert first.returncode == 0, first.stderr
            new = tmp_path / "new"
            new.write_bytes(b"no checkpoint")
            new.replace(model)
            done = _ask(model, scans, "--server", at, "--out", tmp_path / "second.csv")
            assert done.returncode == 2
            assert "error: " in done.stderr
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_a_server_that_is_killed_over_a_request_is_told_and_another_goes_on(
    run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    manifest = Path((tiny_data / "manifest_path").read_text())
    out = tmp_path / "scores.csv"
    with TemporaryDirectory() as folder:
        at = Path(folder, "socket")
        server = _start(run, at)
        words = [*COVIDLIT, str(run), str(manifest), "--server", str(at), "--out", str(out)]
        client = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        while not list(tmp_path.glob("scores.csv*")) and client.poll() is None:
            time.sleep(0.01)  # until it has begun
        server.kill()
        server.wait()
        error = client.communicate(timeout=60)[1]
        assert client.returncode == 2
        assert "the server ended before it answered" in error
        again = _start(run, at)  # in the place of the killed one
        done = _ask(run, manifest, "--server", at, "--out", out)
        again.send_signal(signal.SIGTERM)
        assert again.wait(60) == 0
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(out)) == len(read_manifest(manifest))
