"""How each operation of the API is called well, with what it needs made first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from platform_world import Hospital
from sending_world import sending_of, with_objects

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api import whole
from covidlit.platform.api.models import TOKEN_SCOPES, Token
from covidlit.platform.api.tokens import find_token, make_token
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.exporting.kept import ARCHIVE, folder_of
from covidlit.platform.exporting.models import Export
from covidlit.platform.grading.giving import Judgement, Seen, give
from covidlit.platform.grading.models import Level
from covidlit.platform.grading.standing import standing_of
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import Job
from covidlit.platform.patients.report import report_path
from covidlit.platform.sending.dicom_objects import objects_of

OPERATIONS = {each.operation_id: each for _, each in whole.operations()}

Keys = Callable[[Hospital, User], dict[str, Any]]


class Call(NamedTuple):
    """How an operation is called, in a hospital.

    Args:
        keys: what its address names, of the hospital's own objects, or the caller's there.
        query: behind its address.
        body: sent along, as JSON.
        well: status where all is well.
        is_form: the body is sent as a form with files.
        names: its address names an object.
    """

    keys: Keys = lambda h, who: {}
    query: str = ""
    body: Callable[[Hospital], dict[str, Any]] | None = None
    well: int = 200
    is_form: bool = False
    names: bool = True


def _patient(h: Hospital, who: User) -> dict[str, Any]:
    return {"pseudonym": h.patient.pseudonym}


def _reported(h: Hospital, who: User) -> dict[str, Any]:
    path = report_path(h.patient, settings.FOLDER.diseases["covid-19"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<p>{h.patient.pseudonym}</p>")
    return _patient(h, who)


def _scan(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": h.scans[0].pk}


def _first_graded(h: Hospital, who: User) -> dict[str, Any]:
    scan = h.scans[1]
    if not scan.grades.exists():
        seen = Seen.of(standing_of(scan, "covid-19"))
        give(scan, "covid-19", h.upload.owner, Level.FIRST, seen, Judgement("", "good"))
    return {"pk": scan.pk}


def _scan_with_objects(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": with_objects(h.scans[0]).scan_id}


def _objects(h: Hospital) -> dict[str, Any]:
    labelling = h.scans[0].labellings.get(disease="covid-19")
    chosen = [
        {"sop_instance_uid": each.sop_instance_uid, "sha256": each.sha256()}
        for each in objects_of(labelling)
    ]
    return {"labelling": labelling.pk, "archive": "pacs", "objects": chosen}


def _not_drafted(h: Hospital, who: User) -> dict[str, Any]:
    Correction.objects.all().delete()
    return _scan(h, who)


def _drafted(h: Hospital, who: User) -> dict[str, Any]:
    keys = _not_drafted(h, who)
    labelling = h.scans[0].labellings.get(disease="covid-19")
    draft = Correction.objects.create(
        scan=h.scans[0], disease="covid-19", corrects=labelling, by=who
    )
    Edit.objects.create(correction=draft, number=1, kind="reclassify", lesion=1, class_value=4)
    return keys


def _labelling(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": h.scans[0].labellings.get(disease="covid-19").pk}


def _upload(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": h.upload.pk}


def _own_upload(h: Hospital, who: User) -> dict[str, Any]:
    place = {"owner": who, "centre": h.centre, "study_group": h.group}
    return {"pk": Upload.objects.get_or_create(**place, defaults={"n_files": 1})[0].pk}


def _table(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": h.table.pk}


def _table_that_is_read(h: Hospital, who: User) -> dict[str, Any]:
    if h.table.job is None or not h.table.job.is_over:
        h.table.job = Job.objects.create(
            kind="read a clinical table", state="done", owner=h.upload.owner, centre=h.centre,
            study_group=h.group,
        )  # fmt: skip
        h.table.save()
    return _table(h, who)


def _own_export(h: Hospital, who: User) -> dict[str, Any]:
    found = Export.objects.get_or_create(
        owner=who, centre=h.centre, study_group=h.group,
        defaults={"finished_at": datetime.now(UTC), "n_scans": 1},
    )[0]  # fmt: skip
    archive = folder_of(found) / ARCHIVE
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(b"PK")
    return {"pk": found.pk}


def _no_export(h: Hospital, who: User) -> dict[str, Any]:
    Export.objects.all().delete()
    return {}


def _job(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": h.job.pk}


def _sending(h: Hospital, who: User) -> dict[str, Any]:
    return {"pk": sending_of(h).pk}


def _place(h: Hospital) -> dict[str, Any]:
    return {"centre": h.centre.name, "study_group": h.group.name}


def _file(h: Hospital) -> dict[str, Any]:
    return {**_place(h), "table": SimpleUploadedFile("labs.csv", b"patient_id\n1\n")}


def _grade(number: int) -> Callable[[Hospital], dict[str, Any]]:
    said = {"decision": "grade", "quality_grade": "good", "class_name": "covid"}
    return lambda h: {**said, "number": number, "version": 1}


EDIT = {"kind": "reclassify", "lesion": 1, "class_name": "consolidation"}

CALLS = {
    "me": Call(names=False),
    "openapi": Call(names=False),
    "patients": Call(names=False),
    "patient": Call(_patient),
    "identity": Call(_patient),
    "scans_of_patient": Call(_patient),
    "trend": Call(_patient),
    "clinical_of_patient": Call(_patient),
    "report_of_patient": Call(_reported),
    "scan": Call(_scan),
    "labellings_of_scan": Call(_scan),
    "severity_of_scan": Call(_scan),
    "slice_of_scan": Call(lambda h, who: {**_scan(h, who), "index": 2}),
    "plane_of_scan": Call(lambda h, who: {**_scan(h, who), "index": 2}),
    "labelling": Call(_labelling),
    "lesions": Call(_labelling),
    "plane_of_labelling": Call(lambda h, who: {**_labelling(h, who), "index": 2}),
    "labels": Call(_labelling),
    "definitions": Call(names=False),
    "diseases": Call(names=False),
    "factors": Call(names=False),
    "mappings": Call(names=False),
    "clinical_tables": Call(names=False),
    "new_clinical_table": Call(body=_file, well=201, is_form=True, names=False),
    "clinical_table": Call(_table),
    "withdraw_clinical_table": Call(_table_that_is_read),
    "grading_choices": Call(names=False),
    "first_queue": Call(names=False),
    "second_queue": Call(names=False),
    "grading_manifest": Call(names=False),
    "grades_of_scan": Call(_first_graded),
    "grade_first": Call(_scan, body=_grade(0), well=201),
    "grade_second": Call(_first_graded, body=_grade(1), well=201),
    "draft_of_scan": Call(_drafted),
    "begin_draft": Call(_not_drafted, well=201),
    "add_edit": Call(_drafted, body=lambda h: EDIT, well=201),
    "undo_edit": Call(_drafted),
    "renew_draft": Call(_drafted),
    "drop_draft": Call(_drafted),
    "correction": Call(_scan),
    "save_draft": Call(_drafted, well=202),
    "sendable": Call(_scan_with_objects),
    "new_sending": Call(_scan_with_objects, body=_objects, well=201),
    "sendings": Call(names=False),
    "sending": Call(_sending),
    "send_again": Call(_sending),
    "exports": Call(names=False),
    "new_export": Call(_no_export, body=_place, well=201, names=False),
    "export": Call(_own_export),
    "training_set": Call(_own_export),
    "jobs": Call(names=False),
    "job": Call(_job),
    "job_again": Call(_job),
    "cancel_job": Call(_job),
    "measure": Call(_patient, well=202),
    "uploads": Call(names=False),
    "new_upload": Call(body=_place, well=201, names=False),
    "upload": Call(_upload),
    "received": Call(_own_upload, "?name=a"),
    "send_piece": Call(_own_upload, "?name=a"),
    "finish": Call(_own_upload),
    "trail": Call(names=False),
}
"""A new operation has to be added here: a test names those that are not."""


def right_of(name: str) -> Right | None:
    """The right that an operation says it needs."""
    return whole.right_of(OPERATIONS[name])


def scope_of(name: str) -> str:
    """The scope of a token that an operation needs; any where it needs none."""
    right = right_of(name)
    return next(scope for scope, each in TOKEN_SCOPES.items() if right in (each, None))


def prepared(client: Client, name: str, h: Hospital, token: str = "") -> partial[Any]:
    """An operation with what it needs, to be called by the client's session or by a token."""
    call, method = CALLS[name], OPERATIONS[name].methods[0]
    known = find_token(token) if token else None
    who = User.objects.filter(pk=client.session.get("_auth_user_id")).first()
    keys = call.keys(h, known.owner if known else who or h.upload.owner)
    address = reverse(f"api:{name}", kwargs=keys) + call.query
    extra: dict[str, Any] = {"headers": {"authorization": f"Bearer {token}"}} if token else {}
    if call.body is not None:
        extra["data"] = call.body(h)
        if not call.is_form:
            extra["content_type"] = "application/json"
    elif method == "PUT":
        extra["data"] = b"1"
    return partial(getattr(client, method.lower()), path=address, **extra)


def ask(client: Client, name: str, h: Hospital, token: str = "") -> Any:
    """Call an operation, by the client's session or by a token."""
    return prepared(client, name, h, token)()


def token_of(user: User, *scopes: str) -> str:
    """The text of a token with these scopes, whatever the person may do."""
    rights = user.rights_anywhere()
    own = next(scope for scope, right in TOKEN_SCOPES.items() if right in rights)
    token, text = make_token(user, "test", [own], 1)
    Token.objects.filter(pk=token.pk).update(scopes=list(scopes))
    return text
