"""Clinical tables: whose values they give to whom, what counts of several, scores and pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import table_models
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from platform_world import Hospital, hospital
from table_rush import MOST, N_TABLES

from covidlit.cohort.clinical import read_clinical
from covidlit.cohort.pseudonyms import Pseudonyms, read_or_make_key
from covidlit.errors import CovidlitError
from covidlit.explain.tables.of_scan import SeverityOfScans
from covidlit.platform.accounts.rights import Role
from covidlit.platform.clinical.known import known_rows, write_known
from covidlit.platform.clinical.models import ClinicalRow, ClinicalTable, SeverityScore
from covidlit.platform.clinical.read_table import folder_of, read_table
from covidlit.platform.clinical.scoring import keep_scores, severity_model
from covidlit.platform.clinical.shown import clinical_of
from covidlit.platform.intake.form_files import MOST_BYTES
from covidlit.platform.intake.take_in import KEY_FILE
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.measuring.measure import measured_folder
from covidlit.platform.registry.models import Patient
from covidlit.quantify.scan import Quantified

pytestmark = pytest.mark.django_db

ROWS = [
    ("H-1", "2020-03-01", 110.0, 5.5, "mild"),
    ("H-1", "2020-03-09", 95.0, 12.0, "severe"),
    ("H-2", "2020-03-01", 130.0, 6.0, "mild"),
]


@pytest.fixture
def own() -> Hospital:
    found = hospital("north")
    number(found, "H-1")
    return found


def number(own: Hospital, raw: str) -> None:
    """Let the patient of a hospital be the one of this number."""
    names = Pseudonyms(read_or_make_key(settings.FOLDER.root / KEY_FILE))
    own.patient.pseudonym = names.patient(f"{own.centre.name} {raw}")
    own.patient.save()


def content(rows: list[tuple[str, str, float, float, str]] = ROWS) -> bytes:
    names = ["patient_id", "date", "haemoglobin_g_per_l", "leukocytes_1e9_per_l", "severity"]
    table = pd.DataFrame(rows, columns=names).assign(
        age=61, sex="F", index_date="2020-02-28", outcome_date="2020-03-20", outcome="survived"
    )
    return table.to_csv(index=False).encode()


def bring(
    own: Hospital, table: bytes, client: Client | None = None, name: str = "labs.csv", **form: str
) -> ClinicalTable:
    """Bring a table in as a physician, and do its job."""
    given = {"centre": own.centre.name, "study_group": own.group.name, **form}
    file = SimpleUploadedFile(name, table)
    client = client or own.client(Role.PHYSICIAN)
    answer = client.post(reverse("add_clinical_table"), {**given, "table": file})
    assert answer.status_code == 302
    found = ClinicalTable.objects.first()
    assert found is not None
    assert answer["Location"] == reverse("clinical_table", args=[found.pk])
    done(found)
    found.refresh_from_db()
    return found


def done(table: ClinicalTable) -> None:
    assert table.job is not None
    try:
        read_table(table.job, lambda *_: None)
        state, message = JobState.DONE, ""
    except CovidlitError as error:
        state, message = JobState.FAILED, str(error)
    Job.objects.filter(pk=table.job.pk).update(state=state, message=message)


def test_values_go_to_the_patients_of_this_centre_alone(own: Hospital) -> None:
    other = hospital("south", own.group)
    number(other, "H-2")  # the same number, of somebody else
    table = bring(own, content())
    assert (table.n_rows, table.n_patients, table.n_unknown) == (2, 1, 1)
    assert set(ClinicalRow.objects.values_list("patient", flat=True)) == {own.patient.pk}
    assert not folder_of(table).exists()
    assert "H-1" not in json.dumps(list(ClinicalRow.objects.values_list("values", flat=True)))
    rows = known_rows(own.patient)
    assert rows["haemoglobin_g_per_l"].tolist() == [110, 95]
    assert rows["date"].tolist() == [date(2020, 3, 1), date(2020, 3, 9)]


def test_the_library_reads_what_is_written_as_what_came(own: Hospital, tmp_path: Path) -> None:
    bring(own, content())
    path = write_known(own.patient, tmp_path / "clinical.parquet")
    assert path is not None
    found = read_clinical(path)
    (tmp_path / "own.csv").write_bytes(content(ROWS[:2]))
    wanted = read_clinical(tmp_path / "own.csv")
    assert set(found["patient_id"]) == {own.patient.pseudonym}
    for name in ("date", "haemoglobin_g_per_l", "leukocytes_1e9_per_l", "severity", "age", "sex"):
        assert found[name].tolist() == wanted[name].tolist(), name
    assert set(found["outcome_date"].astype(str)) == {"2020-03-20"}


def test_of_two_tables_the_newer_counts_until_it_is_withdrawn(own: Hospital) -> None:
    bring(own, content())
    newer = bring(own, content([("H-1", "2020-03-09", 99.0, 13.0, "critical")]))
    assert known_rows(own.patient)["haemoglobin_g_per_l"].tolist() == [110, 99]
    client = own.client(Role.PHYSICIAN)
    client.post(reverse("withdraw_clinical_table", args=[newer.pk]))
    assert known_rows(own.patient)["haemoglobin_g_per_l"].tolist() == [110, 95]
    assert ClinicalRow.objects.filter(table=newer).exists()  # nothing is lost


def test_reading_twice_keeps_the_same_rows(own: Hospital) -> None:
    table = bring(own, content())
    before = list(ClinicalRow.objects.values_list("patient", "date", "values"))
    done(table)
    assert list(ClinicalRow.objects.values_list("patient", "date", "values")) == before


def test_what_is_wrong_its_owner_alone_sees(own: Hospital) -> None:
    table = bring(own, content([("H-1", "2020-03-01", 9.5, 5.5, "mild")]))
    assert table.job is not None
    table.job.refresh_from_db()
    assert table.job.state == "failed"
    assert "H-1" not in table.job.message + str(table.job.arguments)
    address = reverse("clinical_table", args=[table.pk])
    page = own.client(Role.PHYSICIAN).get(address).content.decode()
    assert "haemoglobin_g_per_l" in page
    assert table.said.startswith("1 problem:")
    assert str(folder_of(table)) not in table.said
    seen = own.client(Role.ADMINISTRATOR).get(address).content.decode()
    assert "haemoglobin" not in seen
    for each in (page, seen):  # it sends nobody to the page that he is on
        assert "failed: the table cannot be read." in each
        assert "its page tells" not in each
    assert "its owner" not in own.client(Role.PHYSICIAN).get("/").content.decode()
    assert not ClinicalRow.objects.exists()
    assert not folder_of(table).exists()


@pytest.mark.parametrize(("name", "kind"), [("labs.xlsx", "Excel"), ("labs.parquet", "Parquet")])
def test_a_damaged_table_says_what_to_do(name: str, kind: str, own: Hospital) -> None:
    table = bring(own, b"PK\x03\x04 no more than that", name=name)
    assert kind in table.said
    assert "Fix: " in table.said
    assert "CSV" in table.said
    assert str(folder_of(table)) not in table.said


@pytest.mark.parametrize(
    "form",
    [
        {"mapping": "../secret"}, {"mapping": "no_such"}, {},
    ],
)  # fmt: skip
def test_wrong_forms_keep_nothing(own: Hospital, form: dict[str, str]) -> None:
    given = {"centre": own.centre.name, "study_group": own.group.name, **form}
    if form:
        given["table"] = SimpleUploadedFile("labs.csv", content())  # type: ignore[assignment]
    answer = own.client(Role.PHYSICIAN).post(reverse("add_clinical_table"), given, follow=True)
    assert answer.status_code == 200
    assert "mapping" in answer.content.decode() or "no file" in answer.content.decode()
    assert ClinicalTable.objects.get() == own.table
    assert not list(settings.FOLDER.uploads.glob("clinical-*"))


@pytest.mark.slow
def test_of_tables_that_come_at_once_no_more_wait_than_may(tmp_path: Path) -> None:
    script = Path(__file__).with_name("table_rush.py")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    variables["PYTHONPATH"] = os.pathsep.join([str(script.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "own")], env=variables, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found == {"came": ["refused"] * (N_TABLES - MOST) + ["taken"] * MOST, "tables": MOST}


def test_a_file_beside_it_cannot_leave_its_folder(own: Hospital) -> None:
    given = {"centre": own.centre.name, "study_group": own.group.name}
    files = {
        "table": SimpleUploadedFile("a.csv", content()),
        "patients": SimpleUploadedFile("../../platform.toml", b"x"),
    }
    before = (settings.FOLDER.root / "platform.toml").read_bytes()
    own.client(Role.PHYSICIAN).post(reverse("add_clinical_table"), {**given, **files})
    assert (settings.FOLDER.root / "platform.toml").read_bytes() == before
    table = ClinicalTable.objects.exclude(pk=own.table.pk).get()
    assert {each.name for each in (folder_of(table) / "table").iterdir()} == {
        "!table.csv", "platform.toml",
    }  # fmt: skip


def test_a_form_that_is_too_large_is_refused_before_it_is_kept(own: Hospital) -> None:
    answer = own.client(Role.READER).generic(
        "POST", reverse("account_login"), b"--x--", "multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(MOST_BYTES + 1),
    )  # fmt: skip
    assert answer.status_code in (400, 413)


def test_the_page_shows_values_events_and_their_course(own: Hospital) -> None:
    bring(own, content())
    shown = clinical_of(own.patient)
    assert shown is not None
    assert [(e.day.isoformat(), e.text) for e in shown.events] == [
        ("2020-02-28", "admission"), ("2020-03-01", "mild by the clinic"),
        ("2020-03-09", "deterioration"), ("2020-03-09", "severe by the clinic"),
        ("2020-03-20", "survived"),
    ]  # fmt: skip
    course = next(each for each in shown.courses if each.unit == "g/L")
    assert course.cells == ("110", "95")
    assert course.figure is not None
    # Up is more: the first value is the largest, and stands at the top.
    assert [p.y for p in course.figure.points] == pytest.approx([14, 14 + 102 * 15 / 110], abs=0.1)
    text = own.client(Role.READER).get(reverse("patient", args=[own.patient.pseudonym])).content
    page = text.decode()
    assert "severe by the clinic" in page
    assert "61 years, female" in page
    assert "style=" not in page


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_models.severity_model(
        tmp_path_factory.mktemp("clinical"), "clinical",
        [*table_models.IMAGING, *table_models.LABS], rule="first", before_days=None,
        after_days=1.0, tolerance_days=2.0, units={"haemoglobin_g_per_l": "g/L"},
    )  # fmt: skip


COVID = settings.FOLDER.diseases["covid-19"]


def scored(own: Hospital, folder: Path, change: Callable[[str], str] = str) -> None:
    """Score the newest scan, as the job that measures does."""
    scan = own.scans[0]
    factors = {
        "patient_id": own.patient.pseudonym, "scan_id": scan.scan_id,
        "acquisition_date": "2020-03-01", "n_lesions": 4, "total_volume_ml": 120.0,
        "mean_volume_ml": 30.0, "proportion_percent": 4.0, "max_diameter_3d_mm": 40.0,
        "max_diameter_2d_mm": 30.0, "mean_density_hu": -400.0, "edge_clarity_hu_per_mm": 50.0,
        "pleural_distance_mm": 5.0, "form": 0.7, "volume_change_ml": None,
    }  # fmt: skip
    model = severity_model(own.patient, settings.FOLDER.settings.models.severity, folder)
    if model is not None:
        keep_scores(
            own.patient,
            COVID,
            [Quantified(factors, pd.DataFrame(), (), severity=model.of(factors))],
        )


def test_a_score_is_the_librarys_and_follows_new_values(
    own: Hospital, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = settings.FOLDER.settings
    models = whole.models.model_copy(update={"severity": str(model)})
    monkeypatch.setattr(settings.FOLDER, "settings", whole.model_copy(update={"models": models}))
    scored(own, tmp_path)
    assert not SeverityScore.objects.exists()  # the model takes values, and there are none
    bring(own, content())
    arguments = {"patient": own.patient.pk, "disease": "covid-19"}
    assert Job.objects.filter(kind="measure", arguments=arguments).count() == 1
    scored(own, tmp_path)
    scored(own, tmp_path)
    score = SeverityScore.objects.get()
    plain = json.loads(json.dumps(asdict(_expected(own, model, tmp_path))))
    assert json.loads(json.dumps(score.severity)) == plain
    page = own.client(Role.READER).get(reverse("patient", args=[own.patient.pseudonym]))
    text = page.content.decode()
    assert f"<strong>{score.severity['row']['score']:.3f}</strong>" in text
    assert "Haemoglobin" in text
    bring(own, content([("H-1", "2020-03-01", 60.0, 30.0, "critical")]))
    scored(own, tmp_path)
    assert SeverityScore.objects.count() == 2


def _expected(own: Hospital, model: Path, folder: Path) -> object:
    table = folder / "expected.csv"
    pd.DataFrame(
        [(own.patient.pseudonym, *each[1:4]) for each in ROWS[:2]],
        columns=["patient_id", "date", "haemoglobin_g_per_l", "leukocytes_1e9_per_l"],
    ).assign(age=61, sex="F").to_csv(table, index=False)
    first = own.scans[0]
    return SeverityOfScans(model, table).of(
        {
            "patient_id": own.patient.pseudonym, "scan_id": first.scan_id,
            "acquisition_date": "2020-03-01", "n_lesions": 4, "total_volume_ml": 120.0,
            "mean_volume_ml": 30.0, "proportion_percent": 4.0, "max_diameter_3d_mm": 40.0,
            "max_diameter_2d_mm": 30.0, "mean_density_hu": -400.0,
            "edge_clarity_hu_per_mm": 50.0, "pleural_distance_mm": 5.0, "form": 0.7,
            "volume_change_ml": None,
        }
    )  # fmt: skip


def test_a_report_is_shown_apart_from_the_platform(own: Hospital) -> None:
    address = reverse("report", args=[own.patient.pseudonym])
    assert own.client(Role.READER).get(address).status_code == 404
    place = measured_folder(own.patient, COVID) / "reports"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{own.patient.pseudonym}.html").write_text("<script>1</script>")
    answer = own.client(Role.READER).get(address)
    assert answer.content == b"<script>1</script>"
    policy = answer["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert Patient.objects.count() == 1
