"""The client, at a platform that is served: what it reads, sends, and says when it cannot."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from client_world import Served, served_at
from platform_world import N_SLICES, volume
from sending_world import free_port

from covidlit.platform.client import Platform, PlatformError
from covidlit.platform.client import sending as sending_room
from covidlit.scans.lesion_labels import read_labels
from covidlit.synthetic import make_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_at(tmp_path_factory.mktemp("served") / "platform") as own:
        yield own


@pytest.fixture
def platform(served: Served) -> Iterator[Platform]:
    with Platform(served.address, served.tokens["PHYSICIAN"]) as own:
        yield own


class Cutting:
    """A way to the server that breaks off after so many bytes, as often as it is told."""

    def __init__(self, port: int, after: list[int]) -> None:
        self._port, self._after = port, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                own, _ = self._listener.accept()
            except OSError:
                return
            left = self._after.pop(0) if self._after else None
            there = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._pass, args=(own, there, left), daemon=True).start()
            threading.Thread(target=self._pass, args=(there, own, None), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 14 if left is None else min(left, 1 << 14)):
                target.sendall(chunk)
                if left is not None:
                    left -= len(chunk)
                    if left <= 0:
                        self.cut += 1
                        break
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def test_patients_scans_and_lesions_are_read(platform: Platform, tmp_path: Path) -> None:
    names = [patient.pseudonym for patient in platform.patients()]
    assert names == sorted({"P-north", *(f"Q{number:03}" for number in range(250))})
    assert [p.pseudonym for p in platform.patients(search="Q01")] == [
        f"Q01{digit}" for digit in range(10)
    ]
    patient = platform.patient("P-north")
    assert patient.identity()["name"] == "Secret^north"
    assert [row["volume_change"] for row in patient.trend()] == [None, "more"]
    scan = platform.scan(patient.scans()[0].id)
    assert scan.acquired_on is not None
    stored = volume(scan.acquired_on.day)
    np.testing.assert_array_equal(scan.plane(3), stored.hu[3])
    np.testing.assert_array_equal(scan.volume(), stored.hu)
    assert scan.volume().dtype == np.int16
    np.testing.assert_allclose(scan.affine(), stored.affine)
    assert scan.picture(2, window="soft", labels=False).startswith(b"\x89PNG")
    labelling = scan.labelling
    assert labelling is not None
    assert [lesion.kind for lesion in labelling.lesions()] == ["ground_glass"]
    labelling.save(tmp_path)
    labels = read_labels(tmp_path, scan.scan_id)
    assert labels.classes.shape[0] == N_SLICES
    np.testing.assert_array_equal(labels.classes[2], labelling.plane(2))
    np.testing.assert_array_equal(labels.instances[2], labelling.plane(2, "instances"))
    np.testing.assert_allclose(labels.affine, stored.affine, atol=1e-6)


def test_factors_are_a_table_of_contract_8(platform: Platform) -> None:
    table = platform.factors()
    assert list(table.columns[:3]) == ["patient_id", "scan_id", "acquisition_date"]
    assert table["patient_id"].tolist() == ["P-north", "P-north"]
    assert table["total_volume_ml"].tolist() == [10.0, 200.0]
    assert table["acquisition_date"].dt.day.tolist() == [1, 20]
    assert platform.factors(centre="nowhere").empty
    about = platform.factor_definitions().set_index("column")
    assert about.loc["total_volume_ml", "unit"] == "mL"


def test_an_upload_goes_on_after_breaks_and_is_taken_in_once(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = make_cohort(
        tmp_path / "cohort", preset="mild", n_scans=1, matrix=64, thickness_mm=10.0, n_jobs=1
    )
    (cohort.dicom / "notes.txt").write_text("no DICOM")
    (cohort.dicom / "empty.txt").touch()
    monkeypatch.setattr(sending_room, "PIECE", 3000)
    way = Cutting(served.port, [9_000, 20_000, 4_000])
    told: list[tuple[int, int]] = []
    with Platform(f"http://127.0.0.1:{way.port}", served.tokens["PHYSICIAN"]) as platform:
        done = platform.upload(
            cohort.dicom, "north", "clinic", progress=lambda sent, total: told.append((sent, total))
        )
        way.close()
    assert way.cut == 3
    assert (done.n_taken, done.n_known) == (1, 0)
    total = sum(path.stat().st_size for path in cohort.dicom.rglob("*") if path.is_file())
    assert told[-1] == (total, total)
    assert done.n_bytes == total  # nothing came twice
    assert all(before[0] <= after[0] for before, after in pairwise(told))
    assert [each["place"] for each in done.refused]
    with Platform(served.address, served.tokens["PHYSICIAN"]) as platform:
        assert platform.find_upload(done.id).job == done.job
        again = platform.upload(cohort.dicom, "north", "clinic")
        assert (again.n_taken, again.n_known) == (0, 1)
        assert any(job.kind == "measure" for job in platform.jobs())


def test_an_upload_that_broke_off_is_gone_on_with(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.zip").write_bytes(np.random.default_rng(0).bytes(50_000))
    monkeypatch.setattr(sending_room, "PIECE", 4_096)
    way = Cutting(served.port, [30_000])
    own = Platform(f"http://127.0.0.1:{way.port}", served.tokens["PHYSICIAN"], tries=1)
    with pytest.raises(PlatformError, match="cannot be reached") as raised:
        own.upload(folder, "north", "clinic")
    way.close()
    assert raised.value.fix is not None
    number = int(raised.value.fix.split("resume=")[1].split(")")[0])
    told: list[int] = []
    with Platform(served.address, served.tokens["PHYSICIAN"]) as platform:
        before = platform.find_upload(number).n_bytes
        assert 0 < before < 50_000
        with pytest.raises(PlatformError, match="is for north"):
            platform.upload(folder, "south", "clinic", resume=number)
        done = platform.upload(
            folder, "north", "clinic", resume=number, progress=lambda sent, _: told.append(sent)
        )
        assert told[0] > before
        assert done.n_bytes == 50_000
        assert done.n_taken == 0
        assert done.refused[0]["reason"]


def test_what_goes_wrong_is_said(served: Served, tmp_path: Path) -> None:
    with Platform(served.address, served.tokens["READER"]) as reader:
        with pytest.raises(PlatformError, match="right to see who a patient is") as refused:
            reader.patient("P-north").identity()
        assert refused.value.status == 403
        (tmp_path / "a.dcm").write_bytes(b"x")
        with pytest.raises(PlatformError, match="Fix: ask an administrator"):
            reader.upload(tmp_path, "north", "clinic")
        with pytest.raises(PlatformError, match="nothing of this kind") as absent:
            reader.patient("P-nobody")
        assert absent.value.status == 404
    with (
        Platform(served.address, "covidlit_nothing") as nobody,
        pytest.raises(PlatformError, match="unknown, revoked or too old"),
    ):
        nobody.me()
    closed = Platform(f"http://127.0.0.1:{free_port()}", "covidlit_x", tries=1)
    with pytest.raises(PlatformError, match="cannot be reached"):
        closed.me()
    for address, token in (("localhost:8000", "x"), ("ftp://a", "x"), (served.address, "")):
        with pytest.raises(PlatformError):
            Platform(address, token)


def test_an_upload_is_begun_only_once_there_is_something_to_send(
    platform: Platform, tmp_path: Path
) -> None:
    before = [each.id for each in platform.uploads()]
    for folder, why in ((tmp_path, "no file in it"), (tmp_path / "nowhere", "not there")):
        with pytest.raises(PlatformError, match=why):
            platform.upload(folder, "north", "clinic")
    assert [each.id for each in platform.uploads()] == before


def test_the_client_needs_no_django() -> None:
    script = (
        "import sys; sys.modules['django'] = sys.modules['ninja'] = None\n"
        "from covidlit.platform.client import Platform\n"
        "Platform('http://127.0.0.1:1', 'covidlit_x').close()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
