"""The client works for the disease that it is asked for, by the API in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from api_calls import token_of
from disease_world import COVID, FIBROSIS, Clinic, clinic
from django.conf import settings
from django.test import Client
from sending_world import KINDS, write_object

from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.models import TOKEN_SCOPES
from covidlit.platform.client import Platform, PlatformError
from covidlit.platform.correcting.models import Correction
from covidlit.platform.grading.models import Grade
from covidlit.platform.patients.report import report_path

pytestmark = pytest.mark.django_db

SQUARE = [(20.0, 20.0), (24.0, 20.0), (24.0, 24.0), (20.0, 24.0)]


@pytest.fixture
def own() -> Clinic:
    return clinic()


@pytest.fixture
def platform_of(own: Clinic, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The platform as somebody of a role in both study groups has it."""

    def made(role: Role) -> Platform:
        found = Platform("http://testserver", token_of(own.user(role, "both"), *TOKEN_SCOPES))
        session = found.connection._session
        monkeypatch.setattr(session, "request", _Served(session))
        return found

    return made


class _Served:
    """Asks the application instead of a server."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def __call__(self, method: str, address: str, *, params: Any, json: Any, **_: Any) -> Any:
        request = requests.Request(method, address, params=params, json=json)
        prepared = self._session.prepare_request(request)
        answer: Any = Client().generic(
            method, prepared.path_url, prepared.body or b"",
            content_type=prepared.headers.get("Content-Type", "application/json"),
            headers={"authorization": prepared.headers["Authorization"]},
        )  # fmt: skip
        found = requests.Response()
        found.status_code = answer.status_code
        found._content, found._content_consumed = answer.getvalue(), True
        found.headers.update(dict(answer.headers))
        return found


def test_a_scan_is_graded_for_the_disease_that_its_queue_is_of(platform_of: Any) -> None:
    first, second = platform_of(Role.GRADER_FIRST), platform_of(Role.GRADER_SECOND)
    for disease in (COVID, FIBROSIS):
        waiting = first.queue("first", disease=disease)
        assert [each.disease for each in waiting] == [disease, disease]
        assert waiting[0].grades().grade("first", "good", "covid").disease == disease
    (other,) = second.queue("second", disease=FIBROSIS)
    assert other.grades().exclude("second", "other", "no scar").state == "excluded"
    told = Grade.objects.order_by("pk").values_list("disease", "is_excluded")
    assert list(told) == [(COVID, False), (FIBROSIS, False), (FIBROSIS, True)]
    manifest = platform_of(Role.PHYSICIAN).grading_manifest(disease=FIBROSIS)
    assert sorted(manifest["label_status"]) == ["excluded", "ungraded"]
    assert first.scan(other.scan).grades(FIBROSIS).state == "excluded"
    assert first.scan(other.scan).grades().state == "graded"


def test_a_draft_stays_with_its_disease(own: Clinic, platform_of: Any) -> None:
    scan = platform_of(Role.ANNOTATOR).scan(own.scan.pk)
    draft = scan.correct(FIBROSIS)
    assert (draft.disease, draft.corrects) == (FIBROSIS, own.labellings[FIBROSIS].pk)
    with pytest.raises(PlatformError, match="no such class"):
        draft.edit("new", slice_index=2, contour=SQUARE, class_name="consolidation")
    draft.edit("new", slice_index=2, contour=SQUARE, class_name="fibrosis")
    assert scan.draft() is None  # of the first disease
    assert len(scan.draft(FIBROSIS).edits) == 1
    assert draft.undo().edits == []
    draft.drop()
    assert scan.draft(FIBROSIS) is None
    draft = scan.correct(FIBROSIS)
    draft.edit("new", slice_index=2, contour=SQUARE, class_name="fibrosis")
    assert draft.renew().edits
    saved = draft.save()
    assert saved.now().disease == FIBROSIS
    assert Correction.objects.get().disease == FIBROSIS


def test_results_are_those_of_the_disease(own: Clinic, platform_of: Any, tmp_path: Path) -> None:
    platform = platform_of(Role.PHYSICIAN)
    folder = settings.FOLDER.results / own.labellings[FIBROSIS].folder / "dicom"
    for file, kind in KINDS.items():
        write_object(folder / file, kind)
    scan, patient = platform.scan(own.scan.pk), platform.patient(own.hospital.patient.pseudonym)
    assert scan.sendable(FIBROSIS).labelling == own.labellings[FIBROSIS].pk
    assert scan.sendable().labelling == own.labellings[COVID].pk
    assert scan.picture(2, disease=FIBROSIS) != scan.picture(2) == scan.picture(2, disease=COVID)
    assert scan.severity(FIBROSIS) is None
    job = patient.measure(FIBROSIS)
    assert (job.kind, job.study_group) == ("measure", "trial")
    for disease in (COVID, FIBROSIS):
        path = report_path(own.hospital.patient, settings.FOLDER.diseases[disease])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(disease)
        assert patient.save_report(tmp_path / "report.html", disease).read_text() == disease
    with pytest.raises(PlatformError):
        scan.grades("nothing")
