"""Having a patient's scans measured: a job for each disease, seen by those who follow it."""

from __future__ import annotations

from collections.abc import Collection

from covidlit.platform.accounts.models import StudyGroup, User
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.registry.followed import diseases_of
from covidlit.platform.registry.models import Patient

MEASURE = "measure"
"""Kind of the jobs."""


def have_measured(
    patient: Patient,
    owner: User | None,
    first: StudyGroup | None = None,
    diseases: Collection[str] | None = None,
    place: int = 0,
) -> list[Job]:
    """Have a patient measured for each disease that his study groups follow.

    A job's progress and message tell of its disease, and are seen by the people of its study group:
    so it is given to one that follows it.

    Args:
        patient: whose scans.
        owner: asks for it.
        first: study group that is given its disease's job; others get the first one by name.
        diseases: names of those to measure for; None: all.
        place: of the patient among those that are measured with him; see `jobs.priorities`.
    """
    groups = sorted(patient.study_groups.all(), key=lambda each: (each != first, each.name))
    jobs = []
    for disease in diseases_of(patient):
        if diseases is None or disease.name in diseases:
            group = next(each for each in groups if each.disease == disease.name)
            jobs.append(
                enqueue(
                    MEASURE, owner, patient.centre, group, patient=patient.pk,
                    disease=disease.name, place=place,
                )
            )  # fmt: skip
    return jobs
