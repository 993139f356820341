"""Which diseases a patient is followed for, as far as somebody may see, and the newest labellings.

Everything that asks for the newest labelling of a scan asks here, and so has to say of which
disease; which one it may be of, `diseases_seen` or `ScopedQuerySet.seen_by` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404

from covidlit.platform.accounts.models import StudyGroup, User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.diseases.disease import DEFAULT_DISEASE, Disease
from covidlit.platform.registry.models import Labelling, Patient, Scan


def diseases_of(patient: Patient) -> list[Disease]:
    """Those that the study groups of a patient follow; for jobs, which see all."""
    return _known(patient.study_groups.values_list("disease", flat=True))


def diseases_seen(user: User, right: Right, patient: Patient) -> list[Disease]:
    """See `diseases_seen_of`."""
    return diseases_seen_of(user, right, [patient])[patient.pk]


def diseases_seen_of(
    user: User, right: Right, patients: Iterable[Patient]
) -> dict[int, list[Disease]]:
    """The diseases of patients for which somebody has a right, by the patient's key: as `seen_by`.

    Those that study groups of the patient follow in which the user has the right. Whoever has it in
    all study groups sees those too of which there are labellings from before, and of a patient in
    no study group the default one.
    """
    scopes = user.scopes_with(right)
    centres = {each.pk: each.centre_id for each in patients}
    names: dict[int, set[str]] = {key: set() for key in centres}
    members = Patient.study_groups.through.objects.filter(patient_id__in=centres)
    for key, group, disease in members.values_list(
        "patient_id", "studygroup_id", "studygroup__disease"
    ):
        if any(
            scope.centre_id in (None, centres[key]) and scope.study_group_id in (None, group)
            for scope in scopes
        ):
            names[key].add(disease)
    followed = {key: set(found) for key, found in names.items()}
    everywhere = [
        key
        for key, centre in centres.items()
        if any(s.study_group_id is None and s.centre_id in (None, centre) for s in scopes)
    ]
    if everywhere:
        known = Labelling.objects.filter(scan__patient__in=everywhere).order_by()
        for key, disease in known.values_list("scan__patient", "disease").distinct():
            names[key].add(disease)
    for key in everywhere:
        names[key] = names[key] or {DEFAULT_DISEASE}
    # What is followed now comes first: pages begin with it.
    return {
        key: [*_known(followed[key]), *_known(found - followed[key])]
        for key, found in names.items()
    }


def diseases_worked_for(user: User, right: Right) -> list[Disease]:
    """The diseases of the study groups in which somebody has a right, in any centre."""
    scopes = user.scopes_with(right)
    groups = StudyGroup.objects.all()
    if not any(scope.study_group_id is None for scope in scopes):
        groups = groups.filter(pk__in=[scope.study_group_id for scope in scopes])
        return _known(groups.values_list("disease", flat=True))
    return _known(groups.values_list("disease", flat=True)) or _known([DEFAULT_DISEASE])


def chosen(asked: str, among: Sequence[Disease]) -> Disease:
    """The disease that is asked for, or the first.

    Args:
        asked: its name; empty: none is.
        among: those that one may see.

    Raises:
        Http404: it is not among them: whether there is one nobody learns.
    """
    for each in among:
        if asked in ("", each.name):
            return each
    raise Http404


def group_following(patient: Patient, disease: str, user: User, right: Right) -> StudyGroup | None:
    """A study group of the patient that follows the disease, and in which the user has the right.

    Its people see a job that is given to it.
    """
    scopes = user.scopes_with(right)
    for group in patient.study_groups.filter(disease=disease).order_by("name"):
        if any(
            scope.centre_id in (None, patient.centre_id)
            and scope.study_group_id in (None, group.pk)
            for scope in scopes
        ):
            return group
    return None


def newest_labelling(scan: Scan, disease: str) -> Labelling | None:
    """The newest labelling of a scan for a disease; None where it is not measured for it yet."""
    rows = scan.labellings.select_related("corrected_by", "corrects")
    return rows.filter(disease=disease).first()


def newest_labellings(scans: QuerySet[Scan] | Sequence[Scan], disease: str) -> dict[int, Labelling]:
    """The newest labelling of each scan for a disease, by the scan's key."""
    rows = Labelling.objects.filter(scan__in=scans, disease=disease).order_by("version")
    return {each.scan_id: each for each in rows}


def _known(names: Iterable[str]) -> list[Disease]:
    """In the order of the platform; one whose file was taken away is left out."""
    wanted = set(names)
    return [each for name, each in settings.FOLDER.diseases.items() if name in wanted]
