"""The receiver of C-STORE as a process: what it says it keeps is there once, whatever happens."""

from __future__ import annotations

import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from receiver_platform import Platform, until
from sending_world import LABEL_MAP, dcmtk, free_port, wait_for, write_object

from covidlit.platform.dicom_in.scp import MOST_SILENT

pytestmark = pytest.mark.slow


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    own = Platform(tmp_path / "platform")
    own.set()
    return own


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    return [write_object(tmp_path / f"{n}.dcm", CTImageStorage) for n in range(4)]


def calling(title: str = "CT1") -> AE:
    entity = AE(ae_title=title)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    entity.add_requested_context(LABEL_MAP, RLELossless)
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.dimse_timeout = 20
    return entity


def send(port: int, paths: list[Path], title: str = "CT1") -> list[int | None]:
    """Send by one association; the statuses."""
    line = calling(title).associate("127.0.0.1", port, ae_title="PLATFORM")
    assert line.is_established
    found = []
    for path in paths:
        answer = line.send_c_store(path) if line.is_established else {}
        found.append(int(answer["Status"].value) if "Status" in answer else None)
    if line.is_established:
        line.release()
    return found


def test_associations_of_a_caller_become_one_upload(
    platform: Platform, series: list[Path], tmp_path: Path
) -> None:
    label_map = write_object(tmp_path / "seg.dcm", LABEL_MAP)
    with platform.receiver():
        line = calling().associate("127.0.0.1", platform.port, ae_title="PLATFORM")
        assert line.send_c_echo().Status == 0
        line.release()
        for path in [*series, label_map, series[0]]:  # an association for each, one object twice
            assert send(platform.port, [path]) == [0]
        until(lambda: len(platform.uploads()) == 1 and platform.uploads()[0][2] == "take in")
        assert [row[1:] for row in platform.uploads()] == [(5, "take in")]
        assert send(platform.port, series[:1]) == [0]
        until(lambda: len(platform.uploads()) == 2 and platform.uploads()[1][2] is not None)
    files = platform.files(platform.uploads()[0][0])
    arrived = {str(data.SOPInstanceUID): data for data in map(dcmread, files)}
    for path in [*series, label_map]:
        assert arrived[str(dcmread(path).SOPInstanceUID)] == dcmread(path)
    assert not any("secret" in str(path).lower() for path in files)
    assert platform.left() == []
    owner = platform.rows("SELECT username, password FROM accounts_user ORDER BY id DESC LIMIT 1")
    assert owner[0][0] == "receiver (C-STORE)"
    assert owner[0][1].startswith("!")  # with which nobody can log in
    assert ("received", "receiver (C-STORE)") in platform.rows(
        "SELECT action, username FROM audit_entry"
    )


def test_strangers_are_rejected(platform: Platform, series: list[Path]) -> None:
    with platform.receiver():
        for title, called in (("CT3", "PLATFORM"), ("CT2", "PLATFORM"), ("CT1", "OTHER")):
            line = calling(title).associate("127.0.0.1", platform.port, ae_title=called)
            assert line.is_rejected, (title, called)
        with closing(sqlite3.connect(platform.root / "db.sqlite3", timeout=30)) as database:
            database.execute(
                "DELETE FROM accounts_membership WHERE user_id = "
                "(SELECT id FROM accounts_user WHERE username = 'receiver (C-STORE)')"
            )
            database.commit()
        until(
            lambda: calling().associate(
                "127.0.0.1", platform.port, ae_title="PLATFORM"
            ).is_rejected
        )  # fmt: skip
    with platform.receiver():  # and the role is not given again
        time.sleep(1)
        line = calling().associate("127.0.0.1", platform.port, ae_title="PLATFORM")
        assert line.is_rejected
    assert platform.uploads() == []
    assert platform.left() == []


def silent(port: int, n: int, said: bytes = b"") -> list[socket.socket]:
    """Connections that ask for nothing."""
    lines = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(n)]
    for line in lines:
        line.sendall(said)
    return lines


def ended(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


def n_ended(lines: list[socket.socket]) -> int:
    """Those that the other end has ended by now."""
    return sum(map(ended, select.select(lines, [], [], 0)[0]))


@pytest.mark.parametrize("said", [b"", b"\x01"], ids=["nothing", "part of a request"])
def test_silent_connections_keep_nobody_out(
    said: bytes, platform: Platform, series: list[Path]
) -> None:
    with platform.receiver():
        lines = silent(platform.port, 2 * MOST_SILENT, said)
        time.sleep(0.5)
        assert send(platform.port, series) == [0] * 4
        until(lambda: n_ended(lines) >= MOST_SILENT)  # those that were too many
        if not said:
            until(lambda: n_ended(lines) == len(lines))  # and the rest after some seconds
        for line in lines:
            line.close()
        # The limit is of those that were let in.
        own = [
            calling().associate("127.0.0.1", platform.port, ae_title="PLATFORM") for _ in range(11)
        ]
        assert [each.is_established for each in own] == [True] * 10 + [False]
        own[0].release()

        def let_in() -> bool:
            own.append(calling().associate("127.0.0.1", platform.port, ae_title="PLATFORM"))
            return own[-1].is_established

        until(let_in)
        for each in own[1:]:
            each.abort()


def test_an_end_waits_for_nobody(platform: Platform, series: list[Path]) -> None:
    with platform.receiver() as own:
        lines = silent(platform.port, 3, b"\x01")  # in the midst of a request
        caller = calling().associate("127.0.0.1", platform.port, ae_title="PLATFORM")
        assert caller.send_c_store(series[0]).Status == 0
        half = caller.dul.socket.socket
        half.sendall(bytes.fromhex("04 00 00001000 00"))  # in the midst of a message
        time.sleep(0.5)
        own.terminate()
        assert own.wait(10) == 0
        until(lambda: n_ended(lines) == len(lines))
        caller.abort()
    with platform.receiver():  # what came before is kept
        until(lambda: [row[1:] for row in platform.uploads()] == [(1, "take in")])


def test_hosts_that_may_not_send_are_not_listened_to(platform: Platform) -> None:
    known = (platform.root / "platform.toml").read_text()
    for address, listens in (("192.0.2.7", False), ("", True)):
        text = known.replace('address = "127.0.0.1"', f'address = "{address}"')
        (platform.root / "platform.toml").write_text(text)
        with platform.receiver():
            (line,) = silent(platform.port, 1)
            line.settimeout(2)
            if listens:
                with pytest.raises(TimeoutError):
                    line.recv(1)
            else:
                assert ended(line)
            line.close()


def test_what_was_answered_as_kept_survives_a_kill(platform: Platform, series: list[Path]) -> None:
    for n_sent in (1, 3):
        with platform.receiver() as own:
            line = calling().associate("127.0.0.1", platform.port, ae_title="PLATFORM")
            for path in series[:n_sent]:
                assert line.send_c_store(path).Status == 0
            part = platform.root / "received" / ".parts" / "tmp-half.dcm"
            part.write_bytes(b"half an object")
            own.send_signal(signal.SIGKILL)
            own.wait()
            line.abort()
    with platform.receiver():
        until(lambda: [row[2] for row in platform.uploads()] == ["take in"] * 2)
    assert sorted(row[1] for row in platform.uploads()) == [1, 3]
    assert platform.left() == []


def test_a_kill_between_row_and_files_makes_one_upload(
    platform: Platform, series: list[Path]
) -> None:
    with platform.receiver() as own:
        assert send(platform.port, series) == [0] * 4
        own.send_signal(signal.SIGKILL)
        own.wait()
    (batch,) = (path for path in (platform.root / "received").iterdir() if path.name != ".parts")
    ((owner,),) = platform.rows(
        "SELECT id FROM accounts_user WHERE username = 'receiver (C-STORE)'"
    )
    with closing(sqlite3.connect(platform.root / "db.sqlite3", timeout=30)) as database:
        database.execute(
            "INSERT INTO intake_upload (owner_id, centre_id, study_group_id, batch, made_at, "
            "n_files, n_bytes, n_taken, n_known) "
            f"VALUES ({owner}, 1, 1, '{batch.name}', '2026-01-01', 0, 0, 0, 0)"
        )
        database.commit()
    with platform.receiver():
        until(lambda: [row[1:] for row in platform.uploads()] == [(4, "take in")])
    assert len(platform.files(platform.uploads()[0][0])) == 4
    assert platform.left() == []


def test_limits_hold_and_what_fits_is_kept(
    platform: Platform, series: list[Path], tmp_path: Path
) -> None:
    platform.set(max_files="3")
    with platform.receiver():
        assert send(platform.port, series) == [0, 0, 0, 0xA700]
        until(lambda: [row[1] for row in platform.uploads()] == [3])
    platform.set(max_files="9", max_gib=str(1e6 / 2**30))
    big = dcmread(series[0])
    big.NumberOfFrames, big.Rows, big.Columns = 1, 2048, 2048
    big.PixelData = bytes(2048 * 2048)
    big.save_as(tmp_path / "big.dcm")
    with platform.receiver():
        statuses = send(platform.port, [tmp_path / "big.dcm", series[1]])
        assert statuses == [None, None]  # ended in the midst of it
        assert send(platform.port, [series[1]]) == [0]
        until(lambda: len(platform.uploads()) == 2)
        until(lambda: platform.left() == [])


def test_a_centre_that_is_not_there_is_said(platform: Platform) -> None:
    for arguments in (["--centre", "south"], ["--study-group", "none"], ["--ae-title", "x" * 17],
                      ["--caller", "CT1@somewhere"]):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "covidlit", "platform", "receive", str(platform.root),
             *arguments],
            env=platform.environment, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert b"Fix:" in done.stderr


def test_serve_receives_where_it_is_set(platform: Platform, series: list[Path]) -> None:
    own = subprocess.Popen(
        [sys.executable, "-m", "covidlit", "platform", "serve", str(platform.root), "--port",
         str(free_port())],
        env=platform.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(platform.port, 120)
        assert send(platform.port, series) == [0] * 4
        until(lambda: [row[1:] for row in platform.uploads()] == [(4, "take in")])
        until(lambda: platform.rows("SELECT state FROM jobs_job LIMIT 1") == [("done",)], 120)
    finally:
        own.terminate()
        assert own.wait(60) == 0
    assert platform.rows("SELECT count(*) FROM intake_refusedseries")[0][0] > 0  # of noise


@pytest.mark.skipif(dcmtk("storescu") is None, reason="DCMTK is not installed")
def test_a_series_sent_by_dcmtk_becomes_a_scan(platform: Platform, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "covidlit", "synthesize", str(tmp_path / "cohort"), "--n-scans", "1",
         "--matrix", "64", "--thickness-mm", "10", "--n-jobs", "1"],
        check=True, capture_output=True, env=platform.environment,
    )  # fmt: skip
    line = ["-aet", "CT1", "-aec", "PLATFORM", "127.0.0.1", str(platform.port)]
    folder = str(tmp_path / "cohort" / "dicom")
    with platform.receiver():
        subprocess.run([str(dcmtk("echoscu")), *line], check=True, timeout=60)
        subprocess.run(
            [str(dcmtk("storescu")), "+sd", "+r", *line, folder], check=True, timeout=120
        )
        until(lambda: [row[2] for row in platform.uploads()] == ["take in"])
    assert platform.run_job("take in") == 0
    assert platform.rows("SELECT count(*) FROM registry_scan") == [(1,)]
    assert platform.rows("SELECT n_taken FROM intake_upload") == [(1,)]
