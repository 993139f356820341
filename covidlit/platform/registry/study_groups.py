"""Centres and study groups made, and what a study group follows, with traces in the trail."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from covidlit.errors import ConfigError, did_you_mean
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.audit.trail import Person, record
from covidlit.platform.diseases.disease import DEFAULT_DISEASE
from covidlit.platform.diseases.read import OWN
from covidlit.platform.registry.measured import have_measured


def make_centre(name: str, *, by: Person | None = None) -> Centre:
    """A new centre.

    Raises:
        ConfigError: the name is taken or no name.
    """
    with transaction.atomic():
        row = Centre(name=name)
        _save(row, "centre")
        record(by, "made the centre", name, name)
    return row


def make_study_group(
    name: str, disease: str = DEFAULT_DISEASE, *, by: Person | None = None
) -> StudyGroup:
    """A new study group, whose patients are followed for a disease.

    Raises:
        ConfigError: the name is taken or no name, or there is no such disease.
    """
    check_known(disease)
    with transaction.atomic():
        row = StudyGroup(name=name, disease=disease)
        _save(row, "study group")
        record(by, "made the study group", name, details={"disease": disease})
    return row


def follow(group: StudyGroup, disease: str, *, by: User) -> int:
    """Let a study group follow another disease, and have its patients measured for it.

    Labellings of the one before stay, and are seen by people of all study groups and of others
    that follow it. Done again it changes nothing.

    Returns:
        How many patients are measured.

    Raises:
        ConfigError: there is no such disease.
    """
    check_known(disease)
    with transaction.atomic():
        own = StudyGroup.objects.select_for_update().get(pk=group.pk)
        if own.disease == disease:
            return 0
        told = {"before": own.disease, "now": disease}
        own.disease = disease
        own.save(update_fields=["disease"])
        record(by, "changed the disease of the study group", own.name, details=told)
        patients = list(own.patients.select_related("centre").prefetch_related("study_groups"))
        for place, patient in enumerate(patients):
            have_measured(patient, by, own, [disease], place)
    return len(patients)


def check_diseases() -> None:
    """Refuse to start where a study group follows a disease whose file is gone.

    Raises:
        ConfigError: names both.
    """
    for group in StudyGroup.objects.exclude(disease__in=list(settings.FOLDER.diseases)):
        raise ConfigError(
            f"the study group {group} follows the disease {group.disease!r}, and there is none.",
            where=settings.FOLDER.root / OWN,
            fix=f"put {group.disease}.yaml back there, change what the group follows, and only "
            "then take the file away.",
        )


def check_known(disease: str) -> None:
    """Refuse a disease that the platform does not know.

    Raises:
        ConfigError: names those that it knows.
    """
    known = list(settings.FOLDER.diseases)
    if disease not in known:
        raise ConfigError(
            f"there is no disease {disease[:80]!r}.", where="disease",
            fix=did_you_mean(disease, known) or f"choose of {', '.join(known)}.",
        )  # fmt: skip


def _save(row: Centre | StudyGroup, what: str) -> None:
    where = f"{what} {row.name[:80]!r}"
    taken = ConfigError("there is one already.", where=where, fix="choose another name.")
    if type(row).objects.filter(name=row.name).exists():
        raise taken
    try:
        row.clean_fields()
    except ValidationError as error:
        raise ConfigError(
            "such a name has 1 to 80 letters, digits, - and _, and nothing else.",
            where=where, fix=f"write {slugify(row.name)[:80] or 'north-hospital'}.",
        ) from error  # fmt: skip
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:  # of two at a time the unique name lets one through
        raise taken from error
