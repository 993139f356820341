"""A platform to try: synthetic patients with repeated scans, two centres, a person of each role.

Its severity model learns meanwhile from laboratory values of other synthetic patients, and so says
with each score that it means nothing for patients.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydicom import dcmread

from covidlit.files import write_text
from covidlit.platform.accounts.rights import Role
from covidlit.platform.folder import SETTINGS_FILE, PlatformFolder
from covidlit.platform.named_files import MASKS
from covidlit.platform.setup import make_platform
from covidlit.synthetic import make_cohort

CENTRES = ("north", "south")
GROUP, FOLLOW_UP = "clinic", "fibrosis-follow-up"
"""Study groups: of all patients for COVID-19, and of some in the first centre for fibrosis."""

OFTEN = 3
"""Scans of a patient who is followed for fibrosis too."""
N_SCANS = 24
MATRIX = 128
COHORT = "cohort"
"""Folder of what is drawn, in that of the platform."""
SEVERITY = "severity"
"""Folder of the run that the severity model was trained in, in that of the platform."""

LEARNT_FROM, LEARNT_SEED, EPOCHS = 400, 7, 30
"""Synthetic scans whose laboratory values the model learns from; others than those shown."""


ACCOUNTS = "accounts.txt"
"""In the folder of a demo: who can log in, readable for its owner alone."""


class Account(NamedTuple):
    """Somebody who can log in.

    Args:
        username, password: to log in with; made anew for each demo.
        what: he is, in words.
    """

    username: str
    password: str
    what: str


def make_demo(root: Path, say: Callable[[str], None]) -> PlatformFolder:
    """Make the platform; its scans are read and measured as soon as it is served.

    Whoever can log in stands in its `accounts.txt`.

    The lesions are those that the scans were drawn with, so no network is needed.

    Args:
        root: a new folder.
        say: told what is done.

    """
    make_platform(root, "covidlit demo")
    learning = _learn(root)
    say(f"{N_SCANS} synthetic scans are drawn, and a small model learns what severe is ...")
    cohort = make_cohort(
        root / COHORT, preset="severity", n_scans=N_SCANS, matrix=MATRIX, thickness_mm=5.0,
        n_jobs=-1,
    )  # fmt: skip
    learnt = learning.wait() == 0
    if not learnt:
        say(f"There are no severity scores: the model did not learn. Why: {root / LOG}")
    _set_models(root, severity=learnt)
    assert cohort.clinical is not None
    accounts = _fill(cohort.dicom, cohort.clinical)
    path = root / ACCOUNTS
    path.touch(mode=0o600)
    path.write_text(
        "".join(f"  {each.username:14} {each.password}   {each.what}\n" for each in accounts),
        encoding="utf-8",
    )
    return PlatformFolder(root)


def _set_models(root: Path, *, severity: bool) -> None:
    """Name its models in its settings, from its folder, so that it may be named from anywhere."""
    settings = (root / SETTINGS_FILE).read_text(encoding="utf-8")
    settings = settings.replace('lesions = ""', f'lesions = "{MASKS}{COHORT}/truth"')
    settings = settings.replace('"administrators"  #', '"optional"  #')  # to be tried at once
    settings = settings.replace('log = "plain"', 'log = "quiet"')  # passwords stay in sight
    if severity:
        settings = settings.replace('severity = ""', f'severity = "{SEVERITY}"')
    write_text(root / SETTINGS_FILE, settings)


LOG = f"{SEVERITY}.log"


def _learn(root: Path) -> subprocess.Popen[bytes]:
    """Begin to train the severity model, by the command that people use, beside all else."""
    command = [
        "train", "model=fusion_ann", "data=clinical", f"data.source.n_scans={LEARNT_FROM}",
        f"data.source.seed={LEARNT_SEED}", f"trainer.max_epochs={EPOCHS}",
        "+trainer.enable_progress_bar=false", f"data_dir={COHORT}/learnt",
        f"hydra.run.dir={SEVERITY}",
    ]  # fmt: skip
    with (root / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "covidlit", *command], cwd=root, stdout=log, stderr=log
        )


def _fill(dicom: Path, labs: Path) -> list[Account]:
    """Centres, people, and for each centre an upload of every other folder and a table."""
    from django.utils import timezone

    from covidlit.platform.accounts.models import Centre, StudyGroup
    from covidlit.platform.accounts.people import give_role, make_user
    from covidlit.platform.clinical.models import ClinicalTable
    from covidlit.platform.clinical.read_table import KIND as READ_TABLE
    from covidlit.platform.clinical.read_table import place_for
    from covidlit.platform.intake.models import Upload
    from covidlit.platform.intake.receiving import folder_of
    from covidlit.platform.intake.take_in import KIND
    from covidlit.platform.jobs.queue import enqueue

    centres = [Centre.objects.create(name=name) for name in CENTRES]
    group = StudyGroup.objects.create(name=GROUP)
    follow_up = StudyGroup.objects.create(name=FOLLOW_UP, disease="fibrosis")
    accounts = []
    people = {}
    for role, centre in (
        (Role.ADMINISTRATOR, None), (Role.PHYSICIAN, centres[0]), (Role.ANNOTATOR, centres[0]),
        (Role.READER, centres[1]), (Role.GRADER_FIRST, centres[0]),
        (Role.GRADER_SECOND, centres[0]),
    ):  # fmt: skip
        name, password = role.name.lower(), secrets.token_urlsafe(12)
        people[role] = make_user(name, password)
        give_role(people[role], role, centre)
        accounts.append(Account(name, password, f"{role.value} of {centre or 'all centres'}"))
    name, password = "follow_up", secrets.token_urlsafe(12)
    give_role(make_user(name, password), Role.READER, centres[0], follow_up)
    accounts.append(Account(name, password, f"reader of {centres[0]}, {FOLLOW_UP} alone"))
    folders = sorted(path for path in dicom.iterdir() if path.is_dir())
    for centre, own_group, wanted in (
        (centres[0], group, folders[::2]), (centres[1], group, folders[1::2]),
        (centres[0], follow_up, _often_scanned(folders[0])),
    ):  # fmt: skip
        upload = Upload.objects.create(
            owner=people[Role.ADMINISTRATOR], centre=centre, study_group=own_group,
            finished_at=timezone.now(),
        )  # fmt: skip
        files = folder_of(upload) / "files"
        for folder in wanted:
            shutil.copytree(folder, files / folder.name)
        upload.job = enqueue(KIND, upload.owner, centre, own_group, upload=upload.pk)
        upload.save(update_fields=["job"])
    for centre in centres:  # after the scans: a table gives values to patients who are here
        table = ClinicalTable.objects.create(
            owner=people[Role.ADMINISTRATOR], centre=centre, study_group=group
        )
        place_for(table, labs.suffix).write_bytes(labs.read_bytes())
        table.job = enqueue(READ_TABLE, table.owner, centre, group, clinical_table=table.pk)
        table.save(update_fields=["job"])
    return accounts


def _often_scanned(cases: Path) -> list[Path]:
    """Folders of the series of those patients who have the most to follow."""
    of_patient: dict[str, list[Path]] = {}
    for case in sorted(path for path in cases.iterdir() if path.is_dir()):
        header = dcmread(next(case.iterdir()), specific_tags=["PatientID"])
        of_patient.setdefault(str(header.PatientID), []).append(case)
    return [case for own in of_patient.values() if len(own) >= OFTEN for case in own]
