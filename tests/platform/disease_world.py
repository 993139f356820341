"""A patient of two study groups that follow different diseases, and people of either."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from django.conf import settings
from django.test import Client
from platform_world import N_SLICES, PASSWORD, SIZE, Hospital, hospital

from covidlit.platform.accounts.models import StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.registry.models import Labelling, Lesion, Scan
from covidlit.platform.viewing.planes import write_label_planes

COVID, FIBROSIS = "covid-19", "fibrosis"
N_OF = {COVID: 11, FIBROSIS: 77}
"""Number of the one lesion of each labelling: told apart wherever it is shown."""
OWN = """\
title: Effusion watch
wording:
  about: Fluid beside the lungs.
  lesion: effusion
  lesions: effusions
  trend: Fluid over time
classes:
  pleural_effusion: fluid
factors:
  shown: [total_volume_ml, n_lesions]
  followed: total_volume_ml
models:
  severity: none
"""
"""A disease that somebody writes into the folder of his platform."""


@dataclass
class Clinic:
    """A hospital whose patient is in a second study group too.

    Attributes:
        hospital: its study group follows COVID-19.
        trial: follows fibrosis.
        labellings: of the first scan, the one of fibrosis is the newer version.
    """

    hospital: Hospital
    trial: StudyGroup
    labellings: dict[str, Labelling]
    people: dict[tuple[Role, str], User] = field(default_factory=dict)

    @property
    def scan(self) -> Scan:
        return self.hospital.scans[0]

    def group(self, disease: str) -> StudyGroup | None:
        """The study group that follows a disease; of "both" all of them."""
        return {COVID: self.hospital.group, FIBROSIS: self.trial}.get(disease)

    def user(self, role: Role, disease: str) -> User:
        """Somebody of a role in the study group of a disease alone, or in all of them."""
        key = (role, disease)
        if key not in self.people:
            user = make_user(f"{role.name.lower()}-{disease}", PASSWORD)
            give_role(user, role, self.hospital.centre, self.group(disease))
            self.people[key] = user
        return User.objects.get(pk=self.people[key].pk)

    def client(self, role: Role, disease: str) -> Client:
        client = Client()
        client.force_login(self.user(role, disease))
        return client


def clinic() -> Clinic:
    own = hospital("north")
    trial = StudyGroup.objects.create(name="trial", disease=FIBROSIS)
    own.patient.study_groups.add(trial)
    scan = own.scans[0]
    first = scan.labellings.get()
    first.lesions.update(number=N_OF[COVID])
    found = {COVID: first, FIBROSIS: fibrosis_of(scan, 2)}
    fibrosis_of(own.scans[1], 2)
    return Clinic(own, trial, found)


def fibrosis_of(scan: Scan, version: int) -> Labelling:
    """A labelling of fibrosis: a lesion elsewhere than that of COVID-19, of 77.7 mL."""
    found = Labelling.objects.create(
        scan=scan, disease=FIBROSIS, version=version, labelled_by="scars by a model",
        folder=f"{scan.folder}-fibrosis",
        factors={"n_lesions": 1, "total_volume_ml": 77.7, "lung_volume_ml": 4000.0,
                 "mean_density_hu": -300.0, "proportion_percent": 7.77},
    )  # fmt: skip
    classes = np.zeros((N_SLICES, SIZE, SIZE), np.uint8)
    classes[1:5, 4:28, 4:28] = 1
    classes[2:4, 20:24, 20:24] = 4
    place = settings.FOLDER.results / found.folder
    place.mkdir(parents=True, exist_ok=True)
    instances = np.where(classes == 4, N_OF[FIBROSIS], 0).astype(np.int32)
    write_label_planes(classes, instances, place / "labels.zip")
    Lesion.objects.create(
        labelling=found, number=N_OF[FIBROSIS], kind="fibrosis", slice_index=2,
        factors={"volume_ml": 77.7, "max_diameter_3d_mm": 9.0, "mean_density_hu": -300.0},
    )  # fmt: skip
    return found


def own_disease(root: Path, name: str = "effusion", text: str = OWN) -> Path:
    """A disease in the folder of a platform."""
    path = root / "diseases" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
