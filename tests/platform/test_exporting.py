"""Corrected scans as a training set: read back by the library, pycocotools and nibabel."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from correcting_world import Ward, circle, saved, say, ward
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pycocotools.coco import COCO
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.slice_table import read_labelled_slices
from covidlit.dicom import Checks
from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.correcting.labels import planes_of
from covidlit.platform.exporting.kept import folder_of
from covidlit.platform.exporting.models import Export
from covidlit.platform.exporting.training_set import export
from covidlit.platform.grading.giving import Judgement, Seen, give
from covidlit.platform.grading.models import Level
from covidlit.platform.grading.standing import standing_of
from covidlit.platform.jobs.models import Job
from covidlit.platform.operation.tidying import tidy
from covidlit.platform.registry.models import Identity
from covidlit.scans.lesion_labels import read_labels

pytestmark = pytest.mark.django_db

DRAWN = {"kind": "new", "class": "fibrosis", "slice": 9, "points": circle(30, 30, 5)}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Ward:
    found = ward(monkeypatch)
    Identity.objects.create(patient=found.patient, hospital_id="H-4711", name="Doe^Jane")
    return found


def asked(client: Client, own: Ward) -> Export:
    data = {"centre": own.centre.name, "study_group": own.group.name}
    assert client.post(reverse("begin_export"), data).status_code == 302
    return Export.objects.latest("made_at")


def made(client: Client, own: Ward) -> Export:
    """An export, made as a worker does it."""
    found = asked(client, own)
    assert found.job is not None
    export(found.job, say)
    found.refresh_from_db()
    return found


def address(of: Export) -> str:
    return reverse("download_export", kwargs={"pk": of.pk})


def test_the_training_set_is_what_was_corrected(own: Ward, tmp_path: Path) -> None:
    anna, corrector = own.person("anna")
    scan = own.scans[0]
    version = saved(corrector, anna, scan, DRAWN)
    _, client = own.person("paul", Role.PHYSICIAN)
    found = made(client, own)
    answer = client.get(address(found))
    assert answer.status_code == 200
    with ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as packed:
        packed.extractall(tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    name = scan.scan_id
    assert files == {
        "manifest.csv", f"images/{name}.nii.gz", f"labels/{name}.classes.nii.gz",
        f"labels/{name}.instances.nii.gz", "slices/slices.parquet", "slices/annotations.json",
    }, "the other scan of the patient is not corrected"  # fmt: skip

    # Labels and image, as they are shown here.
    labels = read_labels(tmp_path / "labels", name)
    planes = planes_of(version)
    both = np.stack([planes.plane(index) for index in range(len(planes))], axis=1)
    assert np.array_equal(labels.classes, both[0])
    assert np.array_equal(labels.instances, both[1])
    image = load_scan(str(tmp_path / "images" / f"{name}.nii.gz"), checks=Checks(1))
    original = load_scan(str(settings.FOLDER.scans / scan.folder / "dicom"), checks=Checks(1))
    assert np.array_equal(image.hu, original.hu)
    assert np.allclose(image.affine, original.affine, atol=1e-3)
    header = nib.Nifti1Image.from_filename(tmp_path / "images" / f"{name}.nii.gz").header
    assert not bytes(header["descrip"].tobytes()).strip(b"\0")

    # COCO, by pycocotools: the pixels of each class on each slice.
    coco = COCO(tmp_path / "slices" / "annotations.json")
    number_of = {each["name"]: each["id"] for each in coco.loadCats(coco.getCatIds())}
    by_name = {each["file_name"]: each["id"] for each in coco.loadImgs(coco.getImgIds())}
    own_image = by_name[f"{name}.0008.png"]
    for value, class_name in ((2, "consolidation"), (3, "ground_glass"), (4, "fibrosis")):
        mask = np.zeros(labels.classes.shape[1:], bool)
        for each in coco.loadAnns(coco.getAnnIds(own_image, number_of[class_name])):
            mask |= coco.annToMask(each).astype(bool)
        assert np.array_equal(mask, labels.classes[8] == value), class_name

    # And by the library, with who and when.
    table, content = read_labelled_slices(tmp_path / "slices" / "slices.parquet")
    assert len(table) == len(content.images) == scan.n_slices
    row = table.iloc[0]
    assert (row["patient_id"], row["scan_id"]) == (own.patient.pseudonym, name)
    assert (row["corrected_by"], row["label_status"]) == ("anna", "ungraded")
    assert pd.Timestamp(row["corrected_at"]).date() == version.made_at.date()
    assert Path(row["path"]).is_file()
    manifest = read_manifest(tmp_path / "manifest.csv")
    assert list(manifest["corrected_version"]) == [2]
    source = tmp_path / "slices" / "annotations.json"
    command = ["coco", str(source), str(tmp_path / "again"), "--to", "labels"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    again = read_labels(tmp_path / "again", name)
    lesions = labels.classes >= 2
    assert np.array_equal(again.classes[lesions], labels.classes[lesions])

    # Nobody's name is in it.
    for path in tmp_path.rglob("*"):
        if path.suffix in (".csv", ".json", ".parquet"):
            content_of = path.read_bytes()
            assert not any(word in content_of for word in (b"Doe", b"4711"))
    entry = Entry.objects.get(action="exported a training set")
    assert entry.details["scans"] == [f"{name}, version 2"]
    assert Entry.objects.filter(action="downloaded", username="paul").count() == 1


def test_the_archive_is_for_who_asked_and_still_may_and_for_a_time(own: Ward) -> None:
    anna, corrector = own.person("anna")
    saved(corrector, anna, own.scans[0], DRAWN)
    paul, client = own.person("paul", Role.PHYSICIAN)
    _, other = own.person("petra", Role.PHYSICIAN)
    first = asked(client, own)
    assert client.get(address(first)).status_code == 404, "it is not made yet"
    assert asked(client, own) == first, "one at a time"
    found = made(client, own)
    assert found.job is not None
    Job.objects.filter(pk=found.job.pk).update(state="done")
    waiting = asked(client, own)
    assert "Download" in client.get(reverse("exports")).content.decode()
    assert "Download" not in other.get(reverse("exports")).content.decode()
    assert other.get(address(found)).status_code == 404
    assert corrector.get(address(found)).status_code == 403

    stamp = (folder_of(found) / "training-set.zip").stat().st_mtime_ns
    export(found.job, say)
    assert (folder_of(found) / "training-set.zip").stat().st_mtime_ns == stamp, "once"

    membership = paul.memberships.get()
    paul.memberships.all().delete()
    assert client.get(address(found)).status_code == 403
    with pytest.raises(CovidlitError, match="may not export"):
        export(waiting.job, say)
    membership.pk = None
    membership.save()
    assert client.get(address(found)).status_code == 200

    Export.objects.filter(pk=found.pk).update(finished_at=timezone.now() - timedelta(days=8))
    assert client.get(address(found)).status_code == 404
    assert "removed" in client.get(reverse("exports")).content.decode()
    tidy()
    assert not folder_of(found).exists()


def test_an_attempt_that_was_lost_leaves_nothing(
    own: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, corrector = own.person("anna")
    saved(corrector, anna, own.scans[0], DRAWN)
    _, client = own.person("paul", Role.PHYSICIAN)
    found = asked(client, own)
    assert found.job is not None
    with monkeypatch.context() as patched:
        patched.setattr(
            "covidlit.platform.exporting.training_set.write_manifest",
            lambda *_: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):
            export(found.job, say)
    assert client.get(address(found)).status_code == 404
    export(found.job, say)
    assert client.get(address(found)).status_code == 200
    assert [path.name for path in folder_of(found).iterdir()] == ["training-set.zip"]


def test_a_scan_that_graders_exclude_is_in_no_training_set(own: Ward) -> None:
    anna, corrector = own.person("anna")
    saved(corrector, anna, own.scans[0], DRAWN)
    grader, _ = own.person("gina", Role.GRADER_FIRST)
    excluded = Judgement(reason="motion")
    give(
        own.scans[0],
        "covid-19",
        grader,
        Level.FIRST,
        Seen.of(standing_of(own.scans[0], "covid-19")),
        excluded,
    )
    _, client = own.person("paul", Role.PHYSICIAN)
    found = asked(client, own)
    with pytest.raises(CovidlitError, match="excluded all"):
        export(found.job, say)


def test_without_a_corrected_scan_there_is_nothing_to_export(own: Ward) -> None:
    _, client = own.person("paul", Role.PHYSICIAN)
    found = asked(client, own)
    with pytest.raises(CovidlitError, match="no scan is corrected"):
        export(found.job, say)
