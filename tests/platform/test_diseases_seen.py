"""Who sees which disease: the people of a study group its own, and nothing of another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from api_calls import CALLS, OPERATIONS, prepared
from disease_world import COVID, FIBROSIS, N_OF, Clinic, clinic
from django.conf import settings as settings_of
from django.urls import URLResolver, get_resolver, reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sending_world import KINDS, set_archives, write_object
from test_matrix import PAGES

from covidlit.lesions.report import DOCUMENT
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.api.operations import parameters_of
from covidlit.platform.correcting.drafts import begin
from covidlit.platform.dicomweb.index import look_into
from covidlit.platform.grading.giving import Judgement, Seen, give
from covidlit.platform.grading.models import Grade, Level
from covidlit.platform.grading.standing import standing_of
from covidlit.platform.jobs.models import Job
from covidlit.platform.pacs.settings import DicomwebArchive
from covidlit.platform.patients.report import report_path
from covidlit.platform.registry.followed import diseases_seen, group_following
from covidlit.platform.registry.measured import have_measured
from covidlit.platform.registry.models import Labelling, Lesion, Patient, Scan
from covidlit.platform.sending.models import Sending, SentObject

pytestmark = pytest.mark.django_db

OF_FIBROSIS = ("scars by a model", "77.7", "7.77", "Fibrosis follow-up", "fibrotic", "trial")
"""What stands on a page or in an answer only where fibrosis does."""

PLACES = [None, 0, 1]
DISEASES = (COVID, FIBROSIS)


@pytest.fixture
def own() -> Clinic:
    return clinic()


def _pages() -> Iterator[str]:
    for pattern in get_resolver().url_patterns:
        if not isinstance(pattern, URLResolver) and pattern.name in PAGES:
            yield pattern.name


def _content(answer: Any) -> str:
    return answer.getvalue().decode("latin-1") + str(answer.headers)


def _leaks(text: str) -> list[str]:
    text = re.sub(r"\d\d:\d\d:\d\d\.\d+", "", text)  # the time of day may have a number by chance
    return [word for word in OF_FIBROSIS if word in text]


@pytest.mark.parametrize("name", sorted({"grade_second", *_pages()}))
def test_no_page_of_people_of_one_study_group_tells_of_anothers_disease(name: str) -> None:
    own = clinic()
    page = PAGES[name]
    # What study groups and diseases there are is no secret to who gives roles.
    administrates = name in ("places", "people", "renew_password")
    for role in Role:
        client = own.client(role, COVID)
        keys, data = page.keys(own.hospital), page.data(own.hospital)
        for query in ("", "?disease=fibrosis", "?version=2", "?disease=covid-19&version=2"):
            answer = getattr(client, page.method)(reverse(name, kwargs=keys) + query, data)
            assert answer.status_code < 500
            if not administrates:
                assert _leaks(_content(answer)) == [], (role, query)
    assert Grade.objects.filter(disease=FIBROSIS).count() == 0
    assert own.labellings[FIBROSIS].corrections.count() == 0


@pytest.mark.parametrize(
    "name", ["volume_labels", "volume_surfaces", "objects", "object", "report", "report_pdf"]
)
def test_files_of_anothers_disease_are_not_there(own: Clinic, name: str) -> None:
    """Their bytes say nothing in words, so that only the status tells."""
    _written(own)
    keys = PAGES[name].keys(own.hospital)
    address = reverse(name, kwargs={**keys, "version": 2} if "version" in keys else keys)
    right = next(p.callback.right for p in get_resolver().url_patterns if p.name == name)
    may = [role for role in Role if right in RIGHTS[role]]
    for role in may:
        for disease, status in ((COVID, 404), (FIBROSIS, 200), ("both", 200)):
            answer = own.client(role, disease).get(f"{address}?disease=fibrosis")
            assert answer.status_code == status, (role, disease)
    assert may


def _written(own: Clinic) -> None:
    """The objects of the labelling of fibrosis, and the reports of both diseases."""
    folder = settings_of.FOLDER.results / own.labellings[FIBROSIS].folder / "dicom"
    for file, kind in KINDS.items():
        write_object(folder / file, kind)
    for disease, ending in product(DISEASES, (".html", DOCUMENT)):
        path = report_path(own.hospital.patient, settings_of.FOLDER.diseases[disease], ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(disease)


def test_a_refused_sending_does_not_tell_of_anothers_disease(
    own: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = DicomwebArchive(kind="dicomweb", name="pacs", url="http://127.0.0.1:9/dicom-web")
    set_archives(monkeypatch, archive)
    address = reverse("confirm_sending", args=[own.scan.pk])
    data = {"labelling": own.labellings[FIBROSIS].pk, "archive": "pacs"}
    page = reverse("send", args=[own.scan.pk])
    for disease, to in ((COVID, page), ("both", f"{page}?disease=fibrosis")):
        assert own.client(Role.PHYSICIAN, disease).post(address, data)["Location"] == to


def test_dicomweb_has_results_of_ones_own_disease_alone(own: Clinic) -> None:
    _written(own)
    look_into(own.scan)
    found = own.scan.series.filter(labelling=own.labellings[FIBROSIS], names_patient=False)
    hidden = [each.series_uid for each in found]
    assert len(hidden) == 2
    study = own.scan.series.filter(labelling=own.labellings[FIBROSIS])[0].study_uid
    for disease, there in ((COVID, False), (FIBROSIS, True), ("both", True)):
        client = own.client(Role.PHYSICIAN, disease)
        listed = client.get(reverse("dicomweb:all_series")).json()
        uids = {each["0020000E"]["Value"][0] for each in listed}
        assert (set(hidden) <= uids) is there
        assert uids.isdisjoint(hidden) is not there
        for uid in hidden:
            address = reverse("dicomweb:series", kwargs={"study": study, "series": uid})
            assert client.get(address).status_code == (200 if there else 404)


@pytest.mark.parametrize("name", list(CALLS))
def test_no_operation_tells_of_anothers_disease(own: Clinic, name: str) -> None:
    statuses = set()
    for role in Role:
        client = own.client(role, COVID)
        answer = prepared(client, name, own.hospital)()
        assert answer.status_code < 500
        assert _leaks(_content(answer)) == [], role
        if "disease" in parameters_of(OPERATIONS[name]):
            call = prepared(client, name, own.hospital)
            answer = call(path=f"{call.keywords['path']}?disease=fibrosis")
            assert answer.status_code in (403, 404), role
            statuses.add(answer.status_code)
    assert not statuses or 404 in statuses  # of those who have the right


def test_labellings_by_their_number_are_those_of_ones_own_disease(own: Clinic) -> None:
    foreign = own.labellings[FIBROSIS].pk
    client = own.client(Role.PHYSICIAN, COVID)
    other = own.client(Role.PHYSICIAN, FIBROSIS)
    for name, more in (("labelling", {}), ("lesions", {}), ("plane_of_labelling", {"index": 2}),
                       ("labels", {})):  # fmt: skip
        address = reverse(f"api:{name}", kwargs={"pk": foreign, **more})
        assert client.get(address).status_code == 404
        assert other.get(address).status_code == 200
    scan = reverse("api:labellings_of_scan", kwargs={"pk": own.scan.pk})
    assert [each["disease"] for each in client.get(scan).json()] == [COVID]
    assert [each["disease"] for each in other.get(scan).json()] == [FIBROSIS]
    both = own.client(Role.PHYSICIAN, "both")
    assert [each["version"] for each in both.get(scan).json()] == [2, 1]


def test_a_page_is_of_the_disease_that_is_asked_for(own: Clinic) -> None:
    client = own.client(Role.PHYSICIAN, "both")
    patient = reverse("patient", args=[own.hospital.patient.pseudonym])
    page = client.get(patient).content.decode()
    assert "Volume of lesions over time" in page
    assert 'href="?disease=fibrosis"' in page
    page = client.get(f"{patient}?disease=fibrosis").content.decode()
    assert "Share of the lungs that is fibrotic" in page
    assert "Volume of lesions over time" not in page
    rows = re.findall(r'<tr><th scope="row" title="[^"]*">([^<]+)</th>', page)
    assert rows[0].startswith("proportion of lesions")
    assert len(rows) == 6
    scan = reverse("scan", args=[own.scan.pk])
    for query, disease in (("", COVID), ("?disease=fibrosis", FIBROSIS), ("?version=2", FIBROSIS),
                           ("?version=1", COVID)):  # fmt: skip
        page = client.get(scan + query).content.decode()
        assert f'data-lesion="{N_OF[disease]}"' in page
        legend = re.search(r'<p class="legend">(.*?)</p>', page)
        assert legend is not None
        assert ("reticulation" in legend[1]) is (disease == FIBROSIS)
        assert ("ground glass" in legend[1]) is (disease == COVID)
    assert client.get(f"{scan}?disease=covid-19&version=2").status_code == 404
    assert client.get(f"{scan}?disease=nothing").status_code == 404
    alone = own.client(Role.READER, FIBROSIS)
    page = alone.get(patient).content.decode()
    assert "Share of the lungs that is fibrotic" in page
    assert "COVID" not in page
    assert alone.get(f"{scan}?version=1").status_code == 404
    assert alone.get(f"{patient}?disease=covid-19").status_code == 404


def test_a_slice_is_drawn_with_ones_own_lesions(own: Clinic) -> None:
    address = reverse("slice", args=[own.scan.pk, 2])

    def drawn(disease: str, query: str = "") -> bytes:
        return bytes(own.client(Role.READER, disease).get(address + query).content)

    assert drawn(COVID) != drawn(FIBROSIS)
    assert drawn("both") == drawn(COVID)
    assert drawn("both", "?disease=fibrosis") == drawn(FIBROSIS) == drawn("both", "?version=2")


def test_grades_and_drafts_are_of_one_disease(own: Clinic) -> None:
    good, bad = Judgement(quality_grade="good", class_name="covid"), Judgement(reason="no lesion")
    for disease, said in ((COVID, good), (FIBROSIS, bad)):
        grader = own.user(Role.GRADER_FIRST, disease)
        seen = Seen.of(standing_of(own.scan, disease))
        give(own.scan, disease, grader, Level.FIRST, seen, said)
        begin(own.scan, disease, own.user(Role.ANNOTATOR, disease))
    assert [standing_of(own.scan, each).first.number for each in DISEASES] == [1, 1]
    for disease, other in product(DISEASES, DISEASES):
        client = own.client(Role.GRADER_SECOND, disease)
        address = reverse("grade_second", args=[own.scan.pk])
        answer = client.get(f"{address}?disease={other}")
        assert answer.status_code == (200 if disease == other else 404)
        if disease == other:
            page = answer.content.decode()
            assert ("excluded: no lesion" in page) is (disease == FIBROSIS)
        draft = own.client(Role.ANNOTATOR, disease).get(
            f"{reverse('correct', args=[own.scan.pk])}?disease={other}"
        )
        assert draft.status_code == (200 if disease == other else 404)
        if disease == other:
            page = draft.content.decode()
            assert ("reticulation" in page) is (disease == FIBROSIS)
            assert ("consolidation" in page) is (disease == COVID)


def test_a_class_of_another_disease_cannot_be_drawn(own: Clinic) -> None:
    client = own.client(Role.ANNOTATOR, FIBROSIS)
    begin(own.scan, FIBROSIS, own.user(Role.ANNOTATOR, FIBROSIS))
    address = reverse("edit_lesion", args=[own.scan.pk]) + "?disease=fibrosis"
    drawn = {"kind": "new", "slice": 3, "points": "8,8 14,8 14,14 8,14"}
    answer = client.post(address, {**drawn, "class": "consolidation"})
    assert answer.status_code == 400
    assert "no class of fibrotic changes" in answer.content.decode()
    assert client.post(address, {**drawn, "class": "fibrosis"}).status_code == 302


def test_a_job_is_seen_by_those_who_follow_its_disease(own: Clinic) -> None:
    patient, group = own.hospital.patient, own.hospital.group
    made = have_measured(patient, own.user(Role.PHYSICIAN, COVID), group)
    assert {job.arguments["disease"]: job.study_group for job in made} == {
        COVID: group,
        FIBROSIS: own.trial,
    }
    keys = [job.pk for job in made]
    for disease, seen in ((COVID, [COVID]), (FIBROSIS, [FIBROSIS]), ("both", [COVID, FIBROSIS])):
        user = own.user(Role.PHYSICIAN, disease)
        rows = Job.objects.seen_by(user, Right.UPLOAD).filter(pk__in=keys).order_by("pk")
        assert [job.arguments["disease"] for job in rows] == seen
    only = have_measured(patient, None, diseases=[FIBROSIS])
    assert [job.study_group for job in only] == [own.trial]


def test_what_nobody_follows_any_more_is_not_sent_again(own: Clinic) -> None:
    labelling = own.labellings[FIBROSIS]
    user = own.user(Role.PHYSICIAN, "both")
    found = Sending.objects.create(
        labelling=labelling, archive="pacs", address="http://pacs.example.org", confirmed_by=user
    )
    SentObject.objects.create(
        sending=found, file="report.dcm", kind="SR", sop_instance_uid="1.2", sha256="", n_bytes=1
    )
    StudyGroup.objects.filter(pk=own.trial.pk).update(disease=COVID)
    client, address = own.client(Role.PHYSICIAN, "both"), reverse("send_again", args=[found.pk])
    page: Any = client.post(address, follow=True)
    assert "no study group of the patient follows this disease" in page.content.decode()
    assert not Job.objects.filter(kind="send").exists()


def test_a_new_disease_of_a_study_group_hides_what_was_of_the_old(own: Clinic) -> None:
    group = own.trial
    group.disease = COVID
    group.save()
    pk = own.labellings[FIBROSIS].pk
    for disease, seen in ((FIBROSIS, False), ("both", True)):
        user = own.user(Role.READER, disease)
        assert Labelling.objects.seen_by(user, Right.VIEW).filter(pk=pk).exists() is seen
        names = {each.name for each in diseases_seen(user, Right.VIEW, own.hospital.patient)}
        assert (FIBROSIS in names) is seen


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    roles=st.lists(
        st.tuples(st.sampled_from(list(Role)), st.sampled_from(PLACES), st.sampled_from(PLACES)),
        max_size=3,
    ),
    follows=st.tuples(st.sampled_from(DISEASES), st.sampled_from(DISEASES)),
    right=st.sampled_from([Right.VIEW, Right.CORRECT, Right.EXPORT]),
)  # fmt: skip
def test_rows_of_a_disease_are_seen_exactly_where_a_role_holds_in_a_group_that_follows_it(
    roles: list[tuple[Role, int | None, int | None]], follows: tuple[str, str], right: Right
) -> None:
    from django.db import transaction

    with transaction.atomic():
        centres = [Centre.objects.create(name=name) for name in ("north", "south")]
        groups = [
            StudyGroup.objects.create(name=name, disease=disease)
            for name, disease in zip(("clinic", "trial"), follows, strict=True)
        ]
        user = make_user("somebody", "a long enough phrase")
        for role, centre, group in roles:
            place = [None if at is None else rows[at]
                     for at, rows in ((centre, centres), (group, groups))]  # fmt: skip
            give_role(user, role, *place)
        user = User.objects.get(pk=user.pk)
        for centre, members in product((0, 1), ({0}, {1}, {0, 1})):
            patient = Patient.objects.create(
                pseudonym=f"P{centre}{members}", centre=centres[centre]
            )
            patient.study_groups.set(groups[each] for each in members)
            scan = Scan.objects.create(patient=patient, scan_id="s", n_slices=3, spacing_mm=[1] * 3)
            for version, disease in enumerate(DISEASES, start=1):
                row = Labelling.objects.create(
                    scan=scan, disease=disease, version=version, factors={}
                )
                Lesion.objects.create(labelling=row, number=1, slice_index=1, factors={})
            own = [
                group for role, at, group in roles if right in RIGHTS[role] and at in (None, centre)
            ]
            wanted = {
                disease
                for disease in DISEASES
                if None in own or any(each in members and follows[each] == disease for each in own)
            }
            seen = scan.labellings.seen_by(user, right)
            assert {each.disease for each in seen} == wanted
            rows = Lesion.objects.seen_by(user, right).filter(labelling__scan=scan)
            assert {each.labelling.disease for each in rows} == wanted
            assert {each.name for each in diseases_seen(user, right, patient)} == wanted
            for disease in DISEASES:
                following = {follows[each] for each in members}
                may = disease in following and (
                    None in own or any(follows[each] == disease and each in members for each in own)
                )
                scans = Scan.objects.seen_by(user, right, disease).filter(pk=scan.pk)
                assert scans.exists() is may
                assert (group_following(patient, disease, user, right) is not None) is may
        transaction.set_rollback(True)
