"""Scans that are really measured, for each disease of their patient, each by its own classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from correcting_world import Ward, circle, cohort, edit, say, ward
from disease_world import COVID, FIBROSIS, OWN, own_disease
from django.conf import settings
from django.test import Client
from django.urls import reverse

from covidlit.lesions.volume import voxel_ml
from covidlit.platform.accounts.models import StudyGroup
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.correcting.labels import planes_of
from covidlit.platform.correcting.models import Correction
from covidlit.platform.diseases.read import read_diseases
from covidlit.platform.jobs.models import Job
from covidlit.platform.measuring.correct import correct
from covidlit.platform.measuring.measure import MANIFEST, measure, measured_folder
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.measured import have_measured
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.registry.study_groups import follow
from covidlit.platform.viewing.planes import Planes
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.scans.images import read_volume, write_nifti

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CLASSES = {COVID: (2, 3, 4, 5, 6), FIBROSIS: (4, 5), "effusion": (6,)}


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """The true masks, with a scar, a thickened septum and an effusion in the lungs of each scan."""
    truth = cohort().truth
    assert truth is not None
    for path in sorted(truth.glob("*.classes.nii.gz")):
        classes, affine = read_volume(path)
        for value, (x, y, radius) in {
            4: (18.0, 30.0, 4.0), 5: (46.0, 30.0, 3.0), 6: (44.0, 40.0, 3.0)
        }.items():  # fmt: skip
            rows, columns = np.mgrid[: classes.shape[1], : classes.shape[2]]
            disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            middle = len(classes) // 2
            classes[middle - 2 : middle + 2, disc] = value
        name = path.name.removesuffix(".classes.nii.gz")
        write_nifti(classes.astype(np.uint8), affine, tmp_path / f"{name}.nii.gz")
    return tmp_path


@pytest.fixture
def own(masks: Path, monkeypatch: pytest.MonkeyPatch) -> Ward:
    """The patient in two study groups, measured for both."""
    found = ward(monkeypatch)
    models = settings.FOLDER.settings.models.model_copy(update={"lesions": f"masks:{masks}"})
    whole = settings.FOLDER.settings.model_copy(update={"models": models})
    monkeypatch.setattr(settings.FOLDER, "settings", whole)
    found.patient.study_groups.add(StudyGroup.objects.create(name="scars", disease=FIBROSIS))
    for job in have_measured(found.patient, None):
        measure(job, say)
    return found


def classes_in(masks: Path, scan: Scan, values: tuple[int, ...]) -> tuple[int, float]:
    """Voxels of classes in the mask of a scan, and the volume of one in mL."""
    classes, affine = read_volume(masks / f"{scan.scan_id}.nii.gz")
    return int(np.isin(classes, values).sum()), voxel_ml(affine)


def labelling(scan: Scan, disease: str) -> Labelling:
    found = newest_labelling(scan, disease)
    assert found is not None
    return found


def by_the_command(own: Ward, masks: Path, disease: str, out: Path) -> pd.DataFrame:
    """What `covidlit quantify` says of masks in which the other classes are lung, or nothing."""
    kept = out / "masks"
    kept.mkdir(parents=True)
    for path in masks.glob("*.nii.gz"):
        classes, affine = read_volume(path)
        others = ~np.isin(classes, (0, 1, *CLASSES[disease]))
        classes[others] = np.where(classes[others] == 6, 0, 1)
        write_nifti(classes.astype(np.uint8), affine, kept / path.name)
    manifest = measured_folder(own.patient, settings.FOLDER.diseases[disease]).parent / MANIFEST
    found = quantify(manifest, MaskLabeller(kept, {}), out / "out", dicom=False, report=False)
    return found.factors.set_index("scan_id")


@pytest.mark.parametrize("disease", [COVID, FIBROSIS])
def test_a_scan_is_measured_for_each_disease_as_the_command_does(
    disease: str, own: Ward, masks: Path, tmp_path: Path
) -> None:
    wanted = by_the_command(own, masks, disease, tmp_path / "by-the-command")
    for scan in own.scans:
        found = labelling(scan, disease)
        n, ml = classes_in(masks, scan, CLASSES[disease])
        assert found.factors["total_volume_ml"] == pytest.approx(n * ml, rel=1e-6)
        row = wanted.loc[scan.scan_id]
        for name in ("n_lesions", "total_volume_ml", "proportion_percent", "mean_density_hu",
                     "max_diameter_3d_mm", "pleural_distance_mm", "form", "lung_volume_ml",
                     "edge_clarity_hu_per_mm", "volume_change_ml"):  # fmt: skip
            value = found.factors[name]
            assert (value is None and pd.isna(row[name])) or value == pytest.approx(
                row[name], rel=1e-6
            ), name
        kinds = set(found.lesions.values_list("kind", flat=True))
        own_classes = set(settings.FOLDER.diseases[disease].classes)
        assert kinds <= own_classes
        planes = planes_of(found)
        drawn = np.stack([planes.plane(z)[0] for z in range(len(planes))])
        assert set(np.unique(drawn)) - {0, 1} == {
            value for value in CLASSES[disease] if classes_in(masks, scan, (value,))[0]
        }


def test_the_two_differ_and_are_versions_of_their_own(own: Ward) -> None:
    for scan in own.scans:
        covid, fibrosis = labelling(scan, COVID), labelling(scan, FIBROSIS)
        assert covid.version != fibrosis.version
        assert covid.folder != fibrosis.folder
        volumes = [each.factors["total_volume_ml"] for each in (covid, fibrosis)]
        assert volumes[0] > volumes[1] > 0
    before = list(Labelling.objects.order_by("pk").values_list("pk", "version"))
    for job in have_measured(own.patient, None):
        measure(job, say)
    assert list(Labelling.objects.order_by("pk").values_list("pk", "version")) == before


def test_correcting_one_leaves_the_other_alone(own: Ward) -> None:
    scan = own.scans[0]
    covid, fibrosis = labelling(scan, COVID), labelling(scan, FIBROSIS)
    files = settings.FOLDER.results / covid.folder / "labels.zip"
    before = (covid.factors, files.read_bytes())
    user = make_user("anna", "a long enough phrase")
    give_role(user, Role.ANNOTATOR, own.centre, StudyGroup.objects.get(name="scars"))
    client = Client()
    client.force_login(user)
    query = "?disease=fibrosis"
    assert client.post(reverse("begin_correction", args=[scan.pk]) + query).status_code == 302
    asked = {"kind": "new", "class": "fibrosis", "slice": fibrosis.lesions.all()[0].slice_index + 1,
             "points": circle(24, 22, 2)}  # fmt: skip
    assert edit(client, scan, **asked) == 302  # the first disease that she may correct
    assert client.post(reverse("save_correction", args=[scan.pk]) + query).status_code == 302
    correction = Correction.objects.get(by=user)
    assert correction.job is not None
    assert correction.job.study_group.name == "scars"
    correct(correction.job, say)
    newer = labelling(scan, FIBROSIS)
    assert newer.corrects == fibrosis
    assert newer.version == scan.labellings.order_by("-version")[0].version
    assert newer.factors["total_volume_ml"] > fibrosis.factors["total_volume_ml"]
    assert newer.factors["n_lesions"] == fibrosis.factors["n_lesions"] + 1
    have = [each for each in have_measured(own.patient, None) if measure(each, say) is None]
    assert len(have) == 2
    again = labelling(scan, COVID)
    assert (again.pk, again.factors, files.read_bytes()) == (covid.pk, *before)
    assert labelling(scan, FIBROSIS).pk == newer.pk


def test_a_disease_of_ones_own_works_without_code(
    own: Ward, masks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own_disease(tmp_path / "platform", "effusion", OWN)
    known = read_diseases(tmp_path / "platform" / "diseases")
    monkeypatch.setattr(settings.FOLDER, "diseases", known)
    boss = make_user("boss", "a long enough phrase")
    give_role(boss, Role.ADMINISTRATOR)
    group = StudyGroup.objects.create(name="fluid")
    own.patient.study_groups.add(group)
    assert follow(group, "effusion", by=boss) == 1
    job = Job.objects.get(study_group=group)
    assert job.arguments == {"patient": own.patient.pk, "disease": "effusion"}
    measure(job, say)
    for scan in own.scans:
        n, ml = classes_in(masks, scan, (6,))
        found = labelling(scan, "effusion")
        assert found.factors["total_volume_ml"] == pytest.approx(n * ml, rel=1e-6)
        assert n > 0
    reader = make_user("rita", "a long enough phrase")
    give_role(reader, Role.READER, own.centre, group)
    client = Client()
    client.force_login(reader)
    page = client.get(reverse("patient", args=[own.patient.pseudonym])).content.decode()
    assert "Fluid over time" in page
    assert "Effusions" in page
    page = client.get(reverse("scan", args=[own.scans[0].pk])).content.decode()
    assert "<td>fluid</td>" in page
    assert "ground glass" not in page


def test_a_report_and_objects_are_of_the_disease(
    masks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pydicom

    found = ward(monkeypatch, with_objects=True)
    models = settings.FOLDER.settings.models.model_copy(update={"lesions": f"masks:{masks}"})
    whole = settings.FOLDER.settings.model_copy(update={"models": models})
    monkeypatch.setattr(settings.FOLDER, "settings", whole)
    found.patient.study_groups.set([StudyGroup.objects.create(name="scars", disease=FIBROSIS)])
    for job in have_measured(found.patient, None):
        measure(job, say)
    one = labelling(found.scans[0], FIBROSIS)
    place = settings.FOLDER.results / one.folder / "dicom"
    classes = pydicom.dcmread(place / "classes.dcm")
    names = {segment.SegmentAlgorithmName for segment in classes.SegmentSequence}
    assert names == {"masks given to covidlit, fibrosis"}
    n = {int(s.SegmentNumber): s.SegmentLabel for s in classes.SegmentSequence}
    pixels = classes.pixel_array
    numbers = [
        int(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for f in classes.PerFrameFunctionalGroupsSequence
    ]
    drawn = {n[k] for k, plane in zip(numbers, pixels, strict=True) if plane.any()}
    assert drawn == {"Lung", "Fibrosis", "Interstitial thickening"}
    volume = Planes(settings.FOLDER.scans / found.scans[0].folder / "planes.zip")
    assert len(volume) == found.scans[0].n_slices
    user = make_user("rita", "a long enough phrase")
    give_role(user, Role.READER)
    client = Client()
    client.force_login(user)
    address = reverse("report", args=[found.patient.pseudonym])
    of = {each: client.get(f"{address}?disease={each}").content for each in (FIBROSIS, COVID)}
    assert of[FIBROSIS] != of[COVID]
