"""Objects that were really measured, sent by jobs as processes: killed, and to Orthanc."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import pytest
from orthanc_archive import MISSING, PASSWORD, USER, orthanc
from pydicom import dcmread
from receiver_platform import Platform, until
from sending_world import dcmtk, web_archive

pytestmark = pytest.mark.slow

_CONFIRM = """
from covidlit.platform.accounts.models import User
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.confirm import confirm
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.send import archives_for
labelling = Labelling.objects.get()
uids = {each.sop_instance_uid for each in objects_of(labelling)}
confirm(User.objects.get(username="doctor"), labelling, archives_for(labelling)[0], uids)
"""
_CONFIRM_AT_ONCE = """
import threading
from django.db import connection
from covidlit.platform.accounts.models import User
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.confirm import confirm
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.send import archives_for
labelling, doctor = Labelling.objects.get(), User.objects.get(username="doctor")
uids = {each.sop_instance_uid for each in objects_of(labelling)}
barrier, found = threading.Barrier(4), []
def rush():
    barrier.wait(60)
    found.append(confirm(doctor, labelling, archives_for(labelling)[0], uids).pk)
    connection.close()
threads = [threading.Thread(target=rush) for _ in range(4)]
[each.start() for each in threads]
[each.join() for each in threads]
assert len(found) == 4 and len(set(found)) == 1, found
"""
_TAKE_IN = """
import shutil
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of
from covidlit.platform.jobs.queue import enqueue
doctor, centre, group = make_user("doctor", "a long enough phrase"), *(
    model.objects.get() for model in (Centre, StudyGroup))
give_role(doctor, Role.PHYSICIAN, centre, group)
upload = Upload.objects.create(owner=doctor, centre=centre, study_group=group)
shutil.copytree({source!r}, folder_of(upload) / "files")
upload.job = enqueue("take in", doctor, centre, group, upload=upload.pk)
upload.save()
"""
_FETCH = """
from covidlit.platform.accounts.models import User
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.pacs.wado import find_series
from covidlit.platform.pacs.web import Web
from covidlit.platform.registry.models import Identity, Scan
from covidlit.platform.dicom_in.fetch import fetching_archives
scan, doctor = Scan.objects.get(), User.objects.get(username="doctor")
centre, group = scan.patient.centre, scan.patient.study_groups.get()
archive = fetching_archives(centre)[0]
with Web(archive) as web:
    found = find_series(web, Identity.objects.get().hospital_id)
series = [[each.study_uid, each.series_uid] for each in found if each.modality == "CT"]
assert len(series) == 1, found
upload = Upload.objects.create(owner=doctor, centre=centre, study_group=group)
upload.job = enqueue("fetch", doctor, centre, group, upload=upload.pk, series=series,
                     archive=archive.name, address=archive.address)
upload.save()
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform with a scan that was measured."""
    root = tmp_path_factory.mktemp("measured")
    own = Platform(root / "platform")
    subprocess.run(
        [sys.executable, "-m", "covidlit", "synthesize", str(root / "cohort"), "--preset",
         "lesions", "--n-scans", "1", "--matrix", "64", "--thickness-mm", "10", "--n-jobs", "1"],
        check=True, capture_output=True, env=own.environment,
    )  # fmt: skip
    settings = (own.root / "platform.toml").read_text()
    own.plain = settings.replace('lesions = ""', f'lesions = "masks:{root / "cohort" / "truth"}"')
    (own.root / "platform.toml").write_text(own.plain)
    own.script(_TAKE_IN.format(source=str(root / "cohort" / "dicom")))
    assert own.run_job("take in") == 0
    assert own.run_job("measure") == 0
    return own


def set_archive(own: Platform, text: str) -> None:
    (own.root / "platform.toml").write_text(
        f'{own.plain}\n[[destinations]]\nname = "pacs"\npause_seconds = 0.1\n{text}\n'
    )


def objects(own: Platform) -> dict[str, bytes]:
    """Those kept with the labelling, by SOPInstanceUID."""
    paths = sorted((own.root / "results").glob("*/versions/*/*/dicom/*.dcm"))
    return {str(dcmread(path).SOPInstanceUID): path.read_bytes() for path in paths}


def states(own: Platform) -> list[str]:
    return [
        state for (state,) in own.rows(
            "SELECT state FROM sending_sentobject WHERE sending_id = "
            "(SELECT max(id) FROM sending_sending)"
        )
    ]  # fmt: skip


def test_a_sending_that_was_killed_goes_on_with_the_rest(measured: Platform) -> None:
    there = objects(measured)
    assert {dcmread(BytesIO(each)).Modality for each in there.values()} >= {"SEG", "SR", "DOC"}
    with web_archive() as server:
        set_archive(measured, f'kind = "dicomweb"\nurl = "{server.address}"')
        measured.script(_CONFIRM)
        held, go_on = threading.Event(), threading.Event()

        def third(path: str) -> None:
            if len(server.asked) == 3:
                held.set()
                go_on.wait(60)

        server.answer = third
        job = measured.job("send")
        assert held.wait(60)
        job.send_signal(signal.SIGKILL)
        job.wait()
        go_on.set()
        assert states(measured).count("sent") == 2
        until(lambda: len(server.stored) == 3)  # the archive has it, and nobody heard
        assert measured.run_job("send") == 0
        assert set(states(measured)) == {"sent"}
        assert server.stored == there
        assert len(server.asked) == len(there) + 1
    sent = measured.rows("SELECT count(*) FROM audit_entry WHERE action = 'sent'")
    assert sent == [(len(there),)]


def test_of_many_confirmations_at_once_one_is_sent(measured: Platform) -> None:
    set_archive(measured, 'kind = "dicomweb"\nurl = "http://127.0.0.1:9/at-once"')
    measured.script(_CONFIRM_AT_ONCE)


@pytest.mark.skipif(MISSING, reason="Orthanc with its DICOMweb plugin is not installed")
def test_orthanc_gets_objects_by_stow_and_gives_the_series_back(
    measured: Platform, tmp_path: Path
) -> None:
    there = objects(measured)
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    with orthanc(tmp_path / "orthanc") as own:
        text = f'kind = "dicomweb"\nurl = "{own.url}"\nuser = "{USER}"\nfetch = true\n'
        set_archive(measured, f'{text}password_file = "{secret}"')
        for _ in range(2):  # the second time harms nothing
            measured.script(_CONFIRM)
            assert measured.run_job("send") == 0
            assert set(states(measured)) == {"sent"}
        arrived = own.instances()
        assert set(arrived) == set(there)
        for uid, content in there.items():
            assert dcmread(BytesIO(arrived[uid])) == dcmread(BytesIO(content))
        if (program := dcmtk("dcmdump")) is not None:
            for number, content in enumerate(arrived.values()):
                (tmp_path / f"{number}.dcm").write_bytes(content)
                subprocess.run(
                    [program, "-q", str(tmp_path / f"{number}.dcm")], check=True,
                    stdout=subprocess.DEVNULL,
                )  # fmt: skip
        set_archive(measured, f'{text}password_file = "/no/such"')
        measured.script(_CONFIRM)
        assert measured.run_job("send") != 0
        assert set(states(measured)) == {"failed"}
        # The series itself lies there too, and is fetched back.
        set_archive(measured, f'{text}password_file = "{secret}"')
        source = sorted((measured.root / "scans").glob("*/*/dicom/*.dcm"))
        for path in source:
            _post(own.http, path)
        measured.script(_FETCH)
        assert measured.run_job("fetch") == 0
        ((upload, n_files),) = measured.rows(
            "SELECT id, n_files FROM intake_upload ORDER BY id DESC LIMIT 1"
        )
        assert n_files == len(source)
        files = (measured.root / "uploads" / str(upload) / "files").rglob("*.dcm")
        fetched = {str(data.SOPInstanceUID): data for data in map(dcmread, files)}
        for path in source:
            data = dcmread(path)
            assert fetched[str(data.SOPInstanceUID)] == data
        assert measured.run_job("take in") == 0
        assert measured.rows("SELECT n_known FROM intake_upload ORDER BY id DESC LIMIT 1") == [(1,)]


@pytest.mark.skipif(MISSING, reason="Orthanc with its DICOMweb plugin is not installed")
def test_orthanc_gets_objects_by_c_store_as_far_as_it_takes_them(
    measured: Platform, tmp_path: Path
) -> None:
    there = objects(measured)
    kept = {uid: dcmread(BytesIO(content)) for uid, content in there.items()}
    for unknown in (True, False):
        with orthanc(tmp_path / f"orthanc-{unknown}", unknown_kinds=unknown) as own:
            set_archive(
                measured,
                f'kind = "dimse"\nhost = "127.0.0.1"\nport = {own.dicom}\nae_title = "ORTHANC"',
            )
            measured.script(_CONFIRM)
            done = measured.run_job("send") == 0
            arrived = own.instances()
            for uid, content in arrived.items():
                assert dcmread(BytesIO(content)).PatientID == kept[uid].PatientID
            missing = {
                dcmread(BytesIO(there[uid])).SOPClassUID for uid in set(there) - set(arrived)
            }
            if unknown:
                assert done
                assert not missing
            else:
                assert not done
                assert missing == {"1.2.840.10008.5.1.4.1.1.66.7"}  # label maps
                assert states(measured).count("failed") == len(there) - len(arrived)


def _post(port: int, path: Path) -> None:
    import requests

    answer = requests.post(
        f"http://127.0.0.1:{port}/instances", path.read_bytes(), auth=(USER, PASSWORD), timeout=30
    )
    assert answer.ok
