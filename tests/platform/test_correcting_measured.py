"""A correction that is measured: the volumes that were drawn, the versions, the objects."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from correcting_world import Ward, circle, correct, edit, post, saved, say, ward
from django.conf import settings
from django.urls import reverse
from pypdf import PdfReader
from skimage.draw import polygon2mask

from covidlit.errors import CovidlitError
from covidlit.lesions import read_labels
from covidlit.lesions.volume import voxel_ml
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.correcting.labels import planes_of
from covidlit.platform.correcting.models import Correction
from covidlit.platform.registry.models import Labelling, Scan

pytestmark = pytest.mark.django_db

RADIUS, N_SLICES = 4.0, 3


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Ward:
    return ward(monkeypatch)


def disc(x: float, y: float) -> np.ndarray:
    """The pixels whose centres lie in it, by scikit-image."""
    points = [tuple(map(float, word.split(","))) for word in circle(x, y, RADIUS).split()]
    return polygon2mask((64, 64), np.array(points)[:, ::-1] - 0.5)


def healthy(version: Labelling) -> tuple[float, float, int]:
    """Middle and lowest slice of a disc in the lung, free of lesions, on `N_SLICES`."""
    planes = planes_of(version)
    lung = np.stack([planes.plane(index)[0] == 1 for index in range(len(planes))])
    for index in range(len(planes) - N_SLICES + 1):
        free = lung[index : index + N_SLICES].all(axis=0)
        for y, x in np.argwhere(free):
            if (free | ~disc(x + 0.2, y + 0.3)).all():
                return float(x + 0.2), float(y + 0.3), index
    raise AssertionError("no room for a disc")


def drawn(version: Labelling) -> list[dict[str, object]]:
    """Edits that draw one lesion on `N_SLICES`."""
    x, y, index = healthy(version)
    number = max(version.lesions.values_list("number", flat=True)) + 1
    asked: dict[str, object] = {"points": circle(x, y, RADIUS)}
    first, *more = range(index + 1, index + 1 + N_SLICES)
    new = {**asked, "kind": "new", "class": "fibrosis", "slice": first}
    return [new, *({**asked, "kind": "add", "lesion": number, "slice": k} for k in more)]


def objects(scan: Scan) -> pydicom.Dataset:
    place = (
        settings.FOLDER.results / scan.patient.pseudonym / "measured/covid-19/quantified" / "dicom"
    )
    return pydicom.dcmread(place / scan.scan_id / "classes.dcm")


def how(scan: Scan) -> str:
    (found,) = {segment.SegmentAlgorithmType for segment in objects(scan).SegmentSequence}
    return str(found)


def test_what_was_drawn_is_measured_and_becomes_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ward(monkeypatch, with_objects=True)
    earlier, later = own.scans
    anna, client = own.person("anna")
    first, after_it = earlier.labellings.get(), later.labellings.get()
    kept = planes_of(first).plane(6).copy()
    version = saved(client, anna, earlier, *drawn(first))
    assert (version.version, version.corrected_by, version.corrects) == (2, anna, first)
    assert version.labelled_by == "masks, corrected"

    new = version.lesions.get(number=max(first.lesions.values_list("number", flat=True)) + 1)
    labels = read_labels(
        settings.FOLDER.results / own.patient.pseudonym / "measured/covid-19/quantified" / "labels",
        earlier.scan_id,
    )
    x, y, _ = healthy(first)
    n = N_SLICES * np.count_nonzero(disc(x, y))
    assert new.kind == "fibrosis"
    assert new.factors["volume_ml"] == pytest.approx(n * voxel_ml(labels.affine), rel=1e-6)
    dz, dy, dx = earlier.spacing_mm
    analytic = np.pi * RADIUS**2 * dy * dx * dz * N_SLICES / 1000
    assert new.factors["volume_ml"] == pytest.approx(analytic, rel=0.08)
    change = version.factors["total_volume_ml"] - first.factors["total_volume_ml"]
    assert change == pytest.approx(n * voxel_ml(labels.affine), rel=1e-4)
    assert version.factors["n_lesions"] == first.factors["n_lesions"] + 1

    # The others are the same lesions, under their numbers.
    for lesion in first.lesions.all():
        same = version.lesions.get(number=lesion.number)
        assert same.kind == lesion.kind
        assert same.factors["volume_ml"] == lesion.factors["volume_ml"]
    assert np.array_equal(planes_of(first).plane(6), kept), "the model's is not written over"
    assert (how(earlier), how(later)) == ("SEMIAUTOMATIC", "SEMIAUTOMATIC")
    assert "a person" in str(objects(earlier))
    assert "a person" not in str(objects(later))

    # The patient's report says who, when and what, and is the reader's by her click.
    _, reader = own.person("eva", Role.READER)
    answer = reader.get(reverse("report_pdf", args=[own.patient.pseudonym]))
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"].endswith(f'"{own.patient.pseudonym}.covid-19.pdf"')
    pages = PdfReader(io.BytesIO(answer.content)).pages
    said = " ".join(" ".join(page.extract_text().split()) for page in pages)
    saved_at = Correction.objects.get(labelling=version).saved_at
    assert saved_at is not None
    assert f"{saved_at:%Y-%m-%d %H:%M} UTC" in said
    assert f"anna new lesion {new.number} of fibrosis" in said
    assert own.patient.pseudonym in said
    looked = Entry.objects.filter(subject=f"report of {own.patient.pseudonym} as PDF")
    assert looked.count() == 1

    # What changed until the later scan follows, in the version that is there: nobody drew another.
    newer = later.labellings.get()
    assert newer.pk == after_it.pk
    assert [each.number for each in newer.lesions.all()]
    assert newer.labelled_by == "masks"
    assert newer.corrected_by is None
    assert newer.factors["volume_change_ml"] == pytest.approx(
        after_it.factors["total_volume_ml"] - version.factors["total_volume_ml"], rel=1e-4
    )


def test_a_class_is_changed_and_a_lesion_removed(own: Ward) -> None:
    scan = own.scans[0]
    anna, client = own.person("anna")
    first = scan.labellings.get()
    one, *_, last = first.lesions.order_by("number")
    other = "fibrosis" if one.kind != "fibrosis" else "consolidation"
    version = saved(
        client, anna, scan,
        {"kind": "reclassify", "lesion": one.number, "class": other},
        {"kind": "remove", "lesion": last.number},
    )  # fmt: skip
    assert version.lesions.get(number=one.number).kind == other
    assert version.lesions.get(number=one.number).factors["volume_ml"] == one.factors["volume_ml"]
    assert not version.lesions.filter(number=last.number).exists()
    assert version.factors["n_lesions"] == first.factors["n_lesions"] - 1
    assert version.factors["total_volume_ml"] == pytest.approx(
        first.factors["total_volume_ml"] - last.factors["volume_ml"], rel=1e-6
    )
    # What was a lesion in the lung is lung, so that the lung is as large as it was.
    if last.kind != "pleural_effusion":
        assert version.factors["lung_volume_ml"] == pytest.approx(
            first.factors["lung_volume_ml"], rel=1e-6
        )


def test_a_job_twice_is_as_one_and_a_correction_outlives_measurements(own: Ward) -> None:
    scan = own.scans[0]
    anna, client = own.person("anna")
    edits = drawn(scan.labellings.get())
    version = saved(client, anna, scan, *edits)
    correction = Correction.objects.get()
    assert correction.job is not None
    correct(correction.job, say)
    assert list(scan.labellings.all()) == [version, version.corrects]

    # Lost between files and rows: the version is not there, its files are.
    correction.labelling = None
    correction.save()
    version.lesions.all().delete()
    version.delete()
    correct(correction.job, say)
    again = scan.labellings.first()
    assert again is not None
    assert (again.version, again.corrected_by) == (2, anna)
    assert again.factors == version.factors
    own.measure()
    assert scan.labellings.first() == again, "the model does not take its place"

    # A correction of a correction.
    number = max(again.lesions.values_list("number", flat=True))
    third = saved(client, anna, scan, {"kind": "remove", "lesion": number})
    assert (third.version, third.corrects) == (3, again)
    assert third.labelled_by == "masks, corrected"
    first = again.corrects
    assert first is not None
    assert third.factors["total_volume_ml"] == pytest.approx(first.factors["total_volume_ml"])


def test_the_job_looks_whether_its_owner_still_may(own: Ward) -> None:
    scan = own.scans[0]
    anna, client = own.person("anna")
    assert post(client, "begin_correction", scan) == 302
    for asked in drawn(scan.labellings.get()):
        assert edit(client, scan, **asked) == 302
    assert post(client, "save_correction", scan) == 302
    anna.memberships.all().delete()
    correction = Correction.objects.get()
    assert correction.job is not None
    with pytest.raises(CovidlitError, match="may not correct"):
        correct(correction.job, say)
    own.measure()
    assert scan.labellings.count() == 1, "nor does another job of the patient take it"
    correction.refresh_from_db()
    assert correction.labelling is None
