"""Columns of a clinical table that nobody has named, and those that tell who a patient is."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings
from django.urls import reverse
from platform_world import Hospital, hospital
from test_platform_clinical import ROWS, bring, content, number
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.clinical import read_clinical_source
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.clinical.identifying import identifying
from covidlit.platform.clinical.models import ClinicalRow, ClinicalTable

pytestmark = pytest.mark.django_db

MAPPING = """
name: ours
patient: Pat
date: {column: Day, order: ymd}
labs:
  haemoglobin_g_per_l: {names: Hb, unit: g/l}
groups:
  ward: {column: Station}
  contact: {column: Contact}
further:
  crp_mg_per_l: {names: CRP, unit: mg/l}
"""
OURS = """Pat,Day,Hb,CRP,Station,Contact,Full name,Telephone,Empty,Remark
H-1,2020-03-01,110,5.5,north 2,Secret,Secret^north,4711222,,called her son
H-1,2020-03-09,95,12,north 2,Secret,Secret^north,4711222,,
H-2,2020-03-01,130,6,north 2,Nobody,Other^Name,4711333,,
"""


@pytest.fixture
def own() -> Hospital:
    found = hospital("north")
    number(found, "H-1")
    identity = found.patient.identity
    identity.hospital_id = "H-1"
    identity.save()
    return found


def _kept(table: ClinicalTable) -> str:
    rows = ClinicalRow.objects.filter(table=table).values_list("values", flat=True)
    return json.dumps([list(rows), table.features])


def test_columns_that_a_mapping_does_not_name_are_told_and_not_kept(own: Hospital) -> None:
    place = settings.FOLDER.root / "mappings" / "ours.yaml"
    place.parent.mkdir(exist_ok=True)
    place.write_text(MAPPING)
    try:
        table = bring(own, OURS.encode(), mapping="ours")
    finally:
        place.unlink()
    assert table.n_rows == 2
    kept = _kept(table)
    assert '"haemoglobin_g_per_l": 110' in kept
    assert '"crp_mg_per_l": 5.5' in kept
    assert not any(each in kept for each in ("Secret", "4711", "son", "Telephone", "contact"))
    page = own.client(Role.PHYSICIAN).get(reverse("clinical_table", args=[table.pk]))
    said = page.content.decode()
    assert "3 columns not named by the mapping, and not read: Full name, Telephone, Remark." in (
        said
    )
    assert "Empty" not in said
    other = make_user("other", "a long enough phrase")
    give_role(other, Role.PHYSICIAN, own.centre, own.group)
    client = own.client(Role.PHYSICIAN)
    client.force_login(other)
    foreign = client.get(reverse("clinical_table", args=[table.pk])).content.decode()
    assert "Telephone" not in foreign  # a heading may be a name that slipped there


IDENTITY = {
    "mrn": [1, 1, 2], "patient_no": [5, 5, 6], "phone": [1.5, 1.5, 2.5],
    "birth_year": [1950, 1950, 7],
    "a": [4711222, 4711222, 4711333],  # one for each patient
    "b": [4711222, 4711222, 4711222.0],
}  # fmt: skip


def _own_table(**more: list[float]) -> bytes:
    path = pd.read_csv(pd.io.common.BytesIO(content(ROWS)))
    return path.assign(**more).to_csv(index=False).encode()


def test_numbers_of_persons_are_not_kept_and_values_are(own: Hospital) -> None:
    values = {
        "crp": [5.5, 12.0, 7.0], "platelets_per_ul": [250000, 251000, 180000],
        "gcs": [1, 1, 2], "weight_kg": [70.5, 70.5, 60.0],
    }  # fmt: skip
    table = bring(own, _own_table(**IDENTITY, **values, surname=["A", "A", "B"]))  # type: ignore[list-item]
    kept = _kept(table)
    for name in ("mrn", "patient_no", "phone", "birth_year", "a"):
        assert f'"{name}"' not in kept, name
    for name in ("crp", "platelets_per_ul", "gcs", "weight_kg", "b"):
        assert f'"{name}"' in kept, name
    assert "4711333" not in kept
    page = own.client(Role.PHYSICIAN).get(reverse("clinical_table", args=[table.pk]))
    said = page.content.decode()
    assert "mrn, patient_no, phone, birth_year, a" in said
    assert "not read: surname." in said


@pytest.mark.parametrize(
    "texts",
    [
        ["SECRET", "x", "y"], ["ward of Mrs secret", "x", "x"], ["H-1", "x", "x"],
        ["00H-1", "x", "x"], ["1950-01-02", "x", "x"], ["19500102", "x", "x"],
        ["02.01.1950", "x", "x"], ["x", "x", "H-2"], ["x", "x", "h - 2"],
        ["alpha", "alpha", "beta"],  # one for each
    ],
)  # fmt: skip
def test_texts_that_hold_an_identity_make_their_column_one(texts: list[str], own: Hospital) -> None:
    table = pd.DataFrame({
        "patient_id": ["H-1", "H-1", "H-2"], "bed": texts, "epidemiology": texts,
        "severity": ["mild", "severe", "mild"], "symptom_cough": [True, False, True],
    })  # fmt: skip
    found = identifying(table, {"H-1": own.patient.identity})
    wanted = ["bed"] if texts[0] == "alpha" else ["bed", "epidemiology"]
    assert found == wanted


def test_groups_and_numbers_of_many_are_none(own: Hospital) -> None:
    table = pd.DataFrame({
        "patient_id": [f"H-{n}" for n in range(30)], "ward": [f"ward {n % 3}" for n in range(30)],
        "count": [20_000 + n % 7 for n in range(30)], "share": [n / 7 for n in range(30)],
        "nothing": [None] * 30,
    })  # fmt: skip
    assert identifying(table, {"H-1": own.patient.identity}) == []


def test_covidlit_clinical_says_which_columns_it_does_not_read(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text(OURS)
    (tmp_path / "ours.yaml").write_text(MAPPING)
    out = tmp_path / "out.parquet"
    command = ["clinical", str(tmp_path / "labs.csv"), "--mapping", str(tmp_path / "ours.yaml")]
    told = CliRunner().invoke(app, [*command, "--out", str(out)])
    assert told.exit_code == 0, told.output
    said = "3 columns not named by the mapping, and not read: Full name, Telephone, Remark."
    assert said in told.output
    named = read_clinical_source(
        tmp_path / "labs.csv", {**_mapping(), "groups": {"note": {"column": "Remark"}}}
    )
    assert any("not read: Station, Contact, Full name, Telephone." in each for each in named.notes)


def _mapping() -> dict[str, object]:
    import yaml

    found: dict[str, object] = yaml.safe_load(MAPPING)
    return found
