"""Grades leave the platform as a manifest that covidlit's own reader and criteria take."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings
from django.urls import reverse
from platform_world import Hospital, hospital, scan_of

from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.slice_criteria import SliceCriteria
from covidlit.cohort.sources import existing_manifest
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.grading.giving import Judgement, Seen, give
from covidlit.platform.grading.manifest import manifest_of
from covidlit.platform.grading.models import Level
from covidlit.platform.grading.standing import standing_of, standings
from covidlit.platform.registry.models import Scan

pytestmark = pytest.mark.django_db


def said(scan: Scan, who: User, level: Level, **grade: str) -> None:
    give(scan, "covid-19", who, level, Seen.of(standing_of(scan, "covid-19")), Judgement(**grade))


@pytest.fixture
def graded() -> Hospital:
    """Scans that are agreed on, corrected, excluded, half graded and not graded."""
    own = hospital("north")
    own.scans += [scan_of(own.patient, day) for day in (5, 7, 9)]
    one = own.people[Role.GRADER_FIRST] = User.objects.create(username="one")
    two = own.people[Role.GRADER_SECOND] = User.objects.create(username="two")
    for scan, first, second in (
        (own.scans[0], {"quality_grade": "good", "class_name": "covid"},
         {"quality_grade": "good", "class_name": "covid"}),
        (own.scans[1], {"quality_grade": "good", "class_name": "covid"},
         {"quality_grade": "poor", "class_name": "cap", "severity": "mild"}),
        (own.scans[2], {"reason": "other", "comment": "=HYPERLINK(1)"},
         {"reason": "other", "comment": "=HYPERLINK(1)"}),
        (own.scans[3], {"quality_grade": "fair", "class_name": "np"}, None),
    ):  # fmt: skip
        said(scan, one, Level.FIRST, **first)
        if second is not None:
            said(scan, two, Level.SECOND, **second)
    return own


def exported(own: Hospital, folder: Path) -> Path:
    answer = own.client(Role.PHYSICIAN).get(reverse("grading_manifest"))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    path = folder / "manifest.csv"
    path.write_bytes(answer.content)
    return path


def test_covidlit_reads_what_was_exported(graded: Hospital, tmp_path: Path) -> None:
    hospital("south")
    path = exported(graded, tmp_path)
    table = read_manifest(path).set_index("scan_id")
    assert set(table.index) == {scan.scan_id for scan in graded.scans}
    assert set(table["patient_id"]) == {"P-north"}
    agreed, corrected, excluded, half, none = (table.loc[scan.scan_id] for scan in graded.scans)
    states = [row["label_status"] for row in (agreed, corrected, excluded, half, none)]
    assert states == ["approved", "approved", "excluded", "graded", "ungraded"]
    assert (agreed["grader_1"], agreed["grader_2"]) == ("good, covid", "good, covid")
    assert (corrected["grader_1"], corrected["grader_2"]) == ("good, covid", "poor, cap, mild")
    assert tuple(corrected[["quality_grade", "class_name", "severity"]]) == ("poor", "cap", "mild")
    assert (corrected["graded_by_1"], corrected["graded_by_2"]) == ("one", "two")
    assert (excluded["status"], excluded["reason"]) == ("refused", "=HYPERLINK(1)")
    assert pd.isna(excluded["class_name"])
    assert half["class_name"] == "np"
    assert pd.isna(none["class_name"])
    assert agreed["acquisition_date"] == pd.Timestamp("2020-03-01")
    raw = path.read_text()
    assert "'=HYPERLINK" in raw
    assert ",=" not in raw
    assert str(settings.FOLDER.root) not in raw
    assert "secret" not in raw.lower()
    told = Entry.objects.filter(action="exported")
    assert [(e.subject, e.centre) for e in told] == [("manifest of 5 scans", "north")]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'="])
@pytest.mark.parametrize("address", ["/grading/manifest.csv", "/api/v1/grading/manifest.csv"])
def test_no_reason_is_a_formula_to_a_spreadsheet(address: str, start: str, tmp_path: Path) -> None:
    own = hospital("north")
    one = own.people[Role.GRADER_FIRST] = User.objects.create(username="one")
    comment = f"{start}HYPERLINK(1)"
    said(own.scans[0], one, Level.FIRST, reason="other", comment=comment)
    path = tmp_path / "manifest.csv"
    path.write_bytes(own.client(Role.PHYSICIAN).get(address).content)
    with path.open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert f"'{comment}" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert comment in set(read_manifest(path)["reason"])


def test_inclusion_takes_the_approved_ones(graded: Hospital, tmp_path: Path) -> None:
    path = exported(graded, tmp_path)
    criteria = SliceCriteria(label_status=["approved"])
    left = read_manifest(existing_manifest(str(path), str(tmp_path / "left"), criteria))
    assert set(left["scan_id"]) == {graded.scans[0].scan_id, graded.scans[1].scan_id}
    agreed = SliceCriteria(label_status=["approved"], graders_agree=True)
    left = read_manifest(existing_manifest(str(path), str(tmp_path / "agreed"), agreed))
    assert list(left["scan_id"]) == [graded.scans[0].scan_id]


def test_a_series_of_two_centres_is_two_rows(graded: Hospital, tmp_path: Path) -> None:
    other = hospital("south")
    Scan.objects.create(
        patient=other.patient, scan_id=graded.scans[0].scan_id, n_slices=3, spacing_mm=[5, 1, 1],
        folder="elsewhere",
    )  # fmt: skip
    shown = standings(Scan.objects.select_related("patient__centre"), "covid-19")
    path = tmp_path / "all.csv"
    manifest_of(shown, tmp_path).to_csv(path, index=False)
    table = read_manifest(path)
    both = table[table["original_id"] == graded.scans[0].scan_id]
    assert set(both["patient_id"]) == {"P-north", "P-south"}
    assert table["scan_id"].is_unique


def test_an_empty_manifest_has_its_columns(tmp_path: Path) -> None:
    own = hospital("north")
    client = own.client(Role.PHYSICIAN)
    own.patient.study_groups.clear()
    answer = client.get(reverse("grading_manifest"))
    assert answer.status_code == 200
    assert answer.content.decode().startswith("patient_id,scan_id,path,centre")
