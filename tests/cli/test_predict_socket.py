"""The place of a server of `covidlit predict --serve`: one at a time, and only over its own."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from covidlit.cli import predict_socket
from covidlit.cli.predict_socket import OwnSocket
from covidlit.errors import ConfigError

MODEL = Path("/runs/one")


@pytest.fixture
def place() -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # pytest's own is too long for a socket
        yield Path(folder, "socket")


def _leave_dead(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(place))


def _is_answered(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0


def test_a_socket_is_its_owners_and_nothing_is_left_of_it(place: Path) -> None:
    own = OwnSocket(place, MODEL)
    assert {stat.S_IMODE(each.stat().st_mode) for each in place.parent.iterdir()} == {0o600}
    assert _is_answered(place)
    own.close()
    assert list(place.parent.iterdir()) == []


def test_who_comes_second_learns_what_is_served_and_how_to_end_it(place: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from covidlit.cli.predict_socket import OwnSocket\n"
        "own = OwnSocket(Path(sys.argv[1]), Path('/runs/one')); print('ready', flush=True); input()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"
    said = f"a server of /runs/one answers there, process {first.pid}.*`kill {first.pid}`"
    with pytest.raises(ConfigError, match=said):
        OwnSocket(place, Path("/runs/other"))
    assert _is_answered(place)
    first.kill()
    first.communicate()
    OwnSocket(place, MODEL).close()  # what it has left is no hindrance


def test_two_that_start_at_once_over_a_dead_socket_do_not_remove_each_others(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leave_dead(place)
    refused: list[ConfigError] = []
    probe = predict_socket._is_served

    def meanwhile(path: Path) -> bool:
        monkeypatch.setattr(predict_socket, "_is_served", probe)
        found = probe(path)
        try:
            OwnSocket(path, MODEL)
        except ConfigError as error:
            refused.append(error)
        return found

    monkeypatch.setattr(predict_socket, "_is_served", meanwhile)
    first = OwnSocket(place, MODEL)
    assert len(refused) == 1
    assert _is_answered(place)
    first.close()


def test_of_many_that_start_over_and_over_one_has_the_place(place: Path) -> None:
    _leave_dead(place)
    held, clashes = threading.Lock(), []

    def start() -> None:
        for _ in range(50):
            with suppress(ConfigError):
                own = OwnSocket(place, MODEL)
                if not held.acquire(blocking=False):
                    clashes.append(place)
                    continue
                if not _is_answered(place):
                    clashes.append(place)
                held.release()
                own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert clashes == []


def test_a_listener_that_takes_no_connection_is_not_waited_for(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(place))
        stopped.listen(0)
        waiting = []
        while True:  # until no further one may wait
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            if waiting[-1].connect_ex(str(place)):
                break
        gives_way = threading.Timer(10.0, stopped.close)
        gives_way.start()
        with pytest.raises(ConfigError, match="takes no connection"):
            OwnSocket(place, MODEL)
        gives_way.cancel()
        for each in waiting:
            each.close()


def _program(place: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()
    return listener


@pytest.mark.parametrize(
    ("lay", "said"),
    [
        (_program, "no server of this version listens"),
        (lambda place: place.write_text("a file"), "is no socket"),
        (lambda place: place.symlink_to("nowhere"), "is no socket"),
        (lambda place: place.with_name(".socket.lock").write_text("notes"), "is another's"),
        (Path.mkdir, "is no socket"),
    ],
    ids=["program", "file", "link", "lock", "folder"],
)
def test_what_is_anothers_stays(place: Path, lay: Callable[[Path], object], said: str) -> None:
    kept = lay(place)
    before = {each.name: each.lstat().st_ino for each in place.parent.iterdir()}
    with pytest.raises(ConfigError, match=said):
        OwnSocket(place, MODEL)
    assert before == {each.name: each.lstat().st_ino for each in place.parent.iterdir()}
    if isinstance(kept, socket.socket):
        kept.close()


@pytest.mark.parametrize("name", ["x" * 200, "x" * 300, "no/folder", ".", "/"])
def test_a_place_that_cannot_be_is_said(place: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no server can listen there"):
        OwnSocket(place.parent / name, MODEL)
    assert list(place.parent.iterdir()) == []
