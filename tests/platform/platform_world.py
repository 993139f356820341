"""A small hospital in the database of a test, with real files to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from django.conf import settings
from django.test import Client

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import Job
from covidlit.platform.registry.models import Identity, Labelling, Lesion, Patient, Scan
from covidlit.platform.viewing.planes import write_label_planes, write_planes
from covidlit.scans.scan import Scan as Volume

PASSWORD = "a long enough phrase"
N_SLICES, SIZE = 6, 32


@dataclass
class Hospital:
    """A centre with a patient of two scans, an upload, a clinical table and a job."""

    centre: Centre
    group: StudyGroup
    patient: Patient
    scans: list[Scan]
    upload: Upload
    job: Job
    table: ClinicalTable
    people: dict[Role, User] = field(default_factory=dict)

    def client(self, role: Role) -> Client:
        """Somebody of this role in this centre alone, logged in."""
        if role not in self.people:
            user = make_user(f"{self.centre.name}-{role.name.lower()}", PASSWORD)
            give_role(user, role, self.centre, self.group)
            self.people[role] = user
        client = Client()
        client.force_login(self.people[role])
        return client


def hospital(name: str, group: StudyGroup | None = None) -> Hospital:
    """A hospital of this name, whose patient's name and number hold it too."""
    centre = Centre.objects.create(name=name)
    group = group or StudyGroup.objects.get_or_create(name="clinic")[0]
    patient = Patient.objects.create(pseudonym=f"P-{name}", centre=centre)
    patient.study_groups.add(group)
    Identity.objects.create(
        patient=patient, hospital_id=f"secret-{name}", name=f"Secret^{name}",
        birth_date=date(1950, 1, 2),
    )  # fmt: skip
    scans = [scan_of(patient, day, volume_ml=10.0 * day) for day in (1, 20)]
    owner = make_user(f"{name}-owner", PASSWORD)
    give_role(owner, Role.DEVICE, centre, group)
    upload = Upload.objects.create(owner=owner, centre=centre, study_group=group)
    job = Job.objects.create(kind="measure", owner=owner, centre=centre, study_group=group)
    table = ClinicalTable.objects.create(owner=owner, centre=centre, study_group=group, job=job)
    return Hospital(centre, group, patient, scans, upload, job, table)


def volume(seed: int = 0) -> Volume:
    """A volume of noise around the lungs' density."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(-800, 50, (N_SLICES, SIZE, SIZE)).astype(np.int16)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]] * 1.0
    affine[:3, :3] = np.array([[0, 0, 1.0], [0, 1.0, 0], [5.0, 0, 0]])
    return Volume(hu, affine)


def scan_of(patient: Patient, day: int, volume_ml: float = 10.0, **other: Any) -> Scan:
    """A scan with a labelling of one lesion, and the files that its pages read."""
    scan = Scan.objects.create(
        patient=patient, scan_id=f"S-{patient.pseudonym}-{day}", n_slices=N_SLICES,
        acquired_on=date(2020, 3, day), spacing_mm=[5, 1, 1],
        folder=f"{patient.pseudonym}/S{day}", **other,
    )  # fmt: skip
    place = settings.FOLDER.scans / scan.folder
    place.mkdir(parents=True, exist_ok=True)
    write_planes(volume(day), place / "planes.zip")
    labelling = Labelling.objects.create(
        scan=scan, version=1, labelled_by="masks", folder=f"{patient.pseudonym}/v{day}",
        factors={"n_lesions": 1, "total_volume_ml": volume_ml, "mean_density_hu": -400.0,
                 "lung_volume_ml": 4000.0, "form": None, "proportion_percent": volume_ml / 40},
    )  # fmt: skip
    classes = np.zeros((N_SLICES, SIZE, SIZE), np.uint8)
    classes[1:5, 4:28, 4:28] = 1
    classes[2:4, 10:16, 10:16] = 3
    results = settings.FOLDER.results / labelling.folder
    results.mkdir(parents=True, exist_ok=True)
    write_label_planes(classes, (classes == 3).astype(np.int32), results / "labels.zip")
    Lesion.objects.create(
        labelling=labelling, number=1, kind="ground_glass", slice_index=2,
        factors={"volume_ml": volume_ml, "max_diameter_3d_mm": 12.0, "mean_density_hu": -400.0},
    )  # fmt: skip
    return scan
