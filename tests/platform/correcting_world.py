"""A patient whose scans are really measured, and a person who corrects them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD

from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.dicom import Checks
from covidlit.dicom.facts import metadata_of
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.correcting.models import Correction
from covidlit.platform.jobs.models import Job
from covidlit.platform.measuring.correct import correct
from covidlit.platform.measuring.measure import measure
from covidlit.platform.options import ModelSettings
from covidlit.platform.registry.models import Labelling, Patient, Scan
from covidlit.platform.viewing.planes import write_planes
from covidlit.quantify.many import quantify
from covidlit.synthetic import CohortPaths, make_cohort

PSEUDONYM = "P-measured"


@cache
def cohort() -> CohortPaths:
    """Scans of 64 x 64 pixels in slices of 10 mm, two of them of one patient."""
    return make_cohort(
        settings.FOLDER.root / "cohort", preset="severity", n_scans=3, seed=0, matrix=64,
        thickness_mm=10.0, progress=False,
    )  # fmt: skip


def say(progress: str, share_done: float) -> None:
    """To nobody."""


def circle(x: float, y: float, radius: float, n: int = 72) -> str:
    """A disc as pages send it."""
    angle = np.arange(n) * 2 * np.pi / n
    points = np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])
    return " ".join(f"{a:.3f},{b:.3f}" for a, b in points)


@dataclass
class Ward:
    """A patient of two scans, by date."""

    centre: Centre
    group: StudyGroup
    patient: Patient
    scans: list[Scan]

    def person(self, name: str, role: Role = Role.ANNOTATOR) -> tuple[User, Client]:
        """Somebody of this role, logged in."""
        user = make_user(name, PASSWORD)
        give_role(user, role, self.centre, self.group)
        client = Client()
        client.force_login(user)
        return user, client

    def measure(self) -> None:
        """Have the patient's scans measured, as after an upload."""
        job = Job.objects.create(
            kind="measure", centre=self.centre,
            arguments={"patient": self.patient.pk, "disease": self.group.disease},
            study_group=self.group,
        )  # fmt: skip
        measure(job, say)


def ward(monkeypatch: pytest.MonkeyPatch, *, with_objects: bool = False) -> Ward:
    """The patient, whose scans are measured; their files stay from one test to the next.

    Args:
        with_objects: DICOM objects and the report are made too, which takes most of the time.
    """
    if not with_objects:
        quick = partial(quantify, dicom=False, report=False)
        monkeypatch.setattr("covidlit.platform.measuring.measure.quantify", quick)
    made = cohort()
    assert made.truth is not None
    models = ModelSettings(lesions=f"masks:{made.truth}")
    own = settings.FOLDER.settings.model_copy(update={"models": models})
    monkeypatch.setattr(settings.FOLDER, "settings", own)
    centre = Centre.objects.create(name="west")
    group = StudyGroup.objects.create(name="trial")
    patient = Patient.objects.create(pseudonym=PSEUDONYM, centre=centre)
    patient.study_groups.add(group)
    shutil.rmtree(settings.FOLDER.results / PSEUDONYM / "versions", ignore_errors=True)
    found = Ward(centre, group, patient, [_scan(patient, source) for source in _sources(made)])
    found.measure()
    return found


def _sources(made: CohortPaths) -> list[ScanSource]:
    """The scans of the patient with two, by date."""
    of_patient: dict[str, list[tuple[str, ScanSource]]] = {}
    for source in find_scans(made.dicom, Checks()):
        assert source.series is not None
        series = source.series()
        day = str(metadata_of(series)["acquisition_date"])
        of_patient.setdefault(series.images[0].patient_id, []).append((day, source))
    pair = max(of_patient.values(), key=len)
    return [source for _, source in sorted(pair, key=lambda each: each[0])]


def _scan(patient: Patient, source: ScanSource) -> Scan:
    assert source.series is not None
    assert source.read is not None
    assert source.location is not None
    folder = f"{patient.pseudonym}/{source.scan_id}"
    target = settings.FOLDER.scans / folder
    volume = source.read()
    if not target.exists():
        shutil.copytree(source.location, target / "dicom")
        write_planes(volume, target / "planes.zip")
    return Scan.objects.create(
        patient=patient, scan_id=source.scan_id, n_slices=len(volume.hu), folder=folder,
        acquired_on=metadata_of(source.series())["acquisition_date"],
        spacing_mm=[round(mm, 4) for mm in volume.spacing],
    )  # fmt: skip


def edit(client: Client, scan: Scan, **asked: object) -> int:
    """The status of the answer to an edit."""
    address = reverse("edit_lesion", kwargs={"pk": scan.pk})
    return client.post(address, asked).status_code


def post(client: Client, name: str, scan: Scan) -> int:
    """The status of the answer of a page that needs nothing more."""
    return client.post(reverse(name, kwargs={"pk": scan.pk})).status_code


def saved(client: Client, user: User, scan: Scan, *edits: dict[str, object]) -> Labelling:
    """The version that a correction of these edits becomes, measured as a worker does it."""
    assert post(client, "begin_correction", scan) == 302
    for asked in edits:
        assert edit(client, scan, **asked) == 302
    assert post(client, "save_correction", scan) == 302
    own = Correction.objects.get(scan=scan, by=user, labelling=None)
    assert own.job is not None
    correct(own.job, say)
    own.refresh_from_db()
    assert own.labelling is not None
    return own.labelling
