"""Batches of the receiver made uploads, each once, whenever the process ends."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right, Role
from covidlit.platform.audit.trail import record
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of
from covidlit.platform.intake.take_in import KIND
from covidlit.platform.jobs.queue import enqueue

ACCOUNT = "receiver (C-STORE)"
"""Owner of what comes by C-STORE: an account with which nobody can log in, of a name that no person
can have. Its role is given and taken as everybody's, and without it nothing is received."""


def receiver_account(centre_name: str, group_name: str) -> tuple[User, Centre, StudyGroup]:
    """The account, with its role in a centre and a study group.

    It gets the role when it is made; in other centres and study groups an administrator gives it.

    Raises:
        ConfigError: there is no such centre or study group.
    """
    places = []
    for model, name in ((Centre, centre_name), (StudyGroup, group_name)):
        place = model.objects.filter(name=name).first()
        if place is None:
            raise ConfigError(
                f"there is no {model._meta.verbose_name} {name!r}.", where="[receiver]",
                fix=f"choose one of: {', '.join(model.objects.values_list('name', flat=True))}.",
            )  # fmt: skip
        places.append(place)
    centre, group = places
    assert isinstance(centre, Centre)
    assert isinstance(group, StudyGroup)
    with transaction.atomic():
        account, new = User.objects.get_or_create(username=ACCOUNT)
        if new:
            account.set_unusable_password()
            account.save()
            record(None, "made the account", ACCOUNT)
            give_role(account, Role.DEVICE, centre, group)
    return account, centre, group


def may_receive(centre: Centre, group: StudyGroup) -> bool:
    """Whether the account has its role still."""
    return (centre, group) in places_with(User.objects.get(username=ACCOUNT), Right.UPLOAD)


def hand_over(root: Path, token: str, centre: Centre, group: StudyGroup) -> Upload:
    """Make a batch an upload that a job takes in; done again, in whatever state, it is one.

    Args:
        root: of the spool.
        token: of a batch to which nothing is added any more.
        centre, group: whom it is received for.
    """
    owner = User.objects.get(username=ACCOUNT)
    # The row comes first and names the batch: files without a row would be another upload's.
    with settings.FOLDER.removing():  # a backup finds it in one place, or in the other
        upload, _ = Upload.objects.get_or_create(
            batch=token, defaults={"owner": owner, "centre": centre, "study_group": group}
        )
        batch, files = root / token, folder_of(upload) / "files"
        if batch.exists() and not files.exists():
            files.parent.mkdir(parents=True, exist_ok=True)
            batch.rename(files)
    with transaction.atomic():
        own = Upload.objects.select_for_update().get(pk=upload.pk)
        if own.job is None:
            files.mkdir(parents=True, exist_ok=True)
            sizes = [path.stat().st_size for path in files.iterdir()]
            own.n_files, own.n_bytes = len(sizes), sum(sizes)
            own.finished_at = timezone.now()
            own.job = enqueue(KIND, owner, own.centre, own.study_group, upload=own.pk)
            own.save(update_fields=["n_files", "n_bytes", "finished_at", "job"])
            record(owner, "received", str(own), own.centre.name, {"files": own.n_files})
    return own


def unfinished() -> list[str]:
    """Batches whose upload has a row and no job yet, since the process ended in between."""
    rows = Upload.objects.filter(batch__isnull=False, job=None)
    return [str(token) for token in rows.values_list("batch", flat=True)]
