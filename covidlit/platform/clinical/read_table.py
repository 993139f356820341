"""The job that reads a clinical table, and gives the values to the patients who are here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from covidlit.cohort.clinical import ClinicalSource
from covidlit.cohort.pseudonyms import Pseudonyms, read_or_make_key
from covidlit.datamodules.tables.clinical_rows import read_source
from covidlit.errors import ConfigError, CovidlitError
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.clinical.identifying import identifying
from covidlit.platform.clinical.known import LEFT_OUT
from covidlit.platform.clinical.mappings import mapping_of
from covidlit.platform.clinical.models import ClinicalRow, ClinicalTable
from covidlit.platform.intake.take_in import KEY_FILE
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.registry.measured import have_measured
from covidlit.platform.registry.models import Identity, Patient

KIND = "read a clinical table"
FOLDERS = "clinical-"
"""What the folders of tables among the uploads are called, before a table's number."""

_FIRST = "!table"


def folder_of(table: ClinicalTable) -> Path:
    """Where the files of a table lie until they are read."""
    return settings.FOLDER.uploads / f"{FOLDERS}{table.pk}"


def place_for(table: ClinicalTable, suffix: str) -> Path:
    """Where a new table is to be put, in an empty folder, whatever else lies beside it."""
    folder = folder_of(table)
    shutil.rmtree(folder, ignore_errors=True)  # of one that was given up before its row was kept
    folder.joinpath("table").mkdir(parents=True)
    return folder / "table" / f"{_FIRST}{suffix}"


def read_table(job: Job, say: Say) -> None:
    """Keep a table's rows of patients who are here, and have their severity scored again.

    Done again it keeps the same rows.

    Raises:
        CovidlitError: it cannot be read. Why, its owner finds on its page: the reader names
            patients.
    """
    table = ClinicalTable.objects.select_related("owner", "centre").get(
        pk=job.arguments["clinical_table"]
    )
    path = next(folder_of(table).glob(f"table/{_FIRST}*"), None)
    if path is None:
        if table.read_at is not None:
            return  # an attempt that was lost had read it
        raise CovidlitError(
            "its files are gone.", where=str(table), fix="bring the table in again."
        )
    say("reading", 0.1)
    try:
        source = read_source(path, mapping_of(table.mapping), "auto")
    except CovidlitError as error:
        # The reader names the file by its place here, which tells people nothing.
        said = str(error).removeprefix(f"{path}: ").replace(f"{path}", "the table")
        said = said.replace(f"{path.parent}/", "")
        ClinicalTable.objects.filter(pk=table.pk).update(said=said)
        settings.FOLDER.remove(folder_of(table))  # it names patients
        raise ConfigError(
            "the table cannot be read.", where=str(table),
            fix="its page tells its owner which cells are wrong.",
        ) from error  # fmt: skip
    say("storing", 0.7)
    _keep(table, source)
    settings.FOLDER.remove(folder_of(table))


def _keep(table: ClinicalTable, source: ClinicalSource) -> None:
    patients = _patients_of(table, source.patients["patient_id"])
    source, left_out = _without_identity(source, patients)
    rows = [
        ClinicalRow(
            table=table, patient=patients[raw], date=row.pop("date")[:10],
            values={name: value for name, value in row.items() if value is not None},
        )
        for row in _plain(_with_dates(source))
        if (raw := row.pop("patient_id")) in patients
    ]  # fmt: skip
    taken = {row.patient for row in rows}
    with transaction.atomic():
        table.rows.all().delete()
        ClinicalRow.objects.bulk_create(rows, batch_size=500)
        table.features = _plain(source.features)
        table.n_rows, table.n_patients = len(rows), len(taken)
        table.n_unknown = len(source.patients) - len(patients)
        table.said = "\n".join([*left_out, *source.notes])
        table.read_at = timezone.now()
        table.save(
            update_fields=["features", "n_rows", "n_patients", "n_unknown", "said", "read_at"]
        )
        measure_again(table, taken)
        record(
            table.owner, "read", str(table), table.centre.name,
            {"patients": table.n_patients, "rows": table.n_rows, "unknown": table.n_unknown},
        )  # fmt: skip


def _without_identity(
    source: ClinicalSource, patients: Mapping[str, Patient]
) -> tuple[ClinicalSource, list[str]]:
    """The source without columns that tell who patients are, and a sentence on these."""
    keys = [each.pk for each in patients.values()]
    found: dict[int, Identity] = {}
    for start in range(0, len(keys), 500):  # databases limit what one question may hold
        rows = Identity.objects.filter(patient__in=keys[start : start + 500])
        found |= {row.patient_id: row for row in rows}
    known = {raw: found[each.pk] for raw, each in patients.items() if each.pk in found}
    names = identifying(source.table, known)
    if not names:
        return source, []
    said = (
        f"{len(names)} column(s) tell who patients are, or look so, and nothing of them is kept: "
        f"{', '.join(names)}. Rename one that does not in the table or the mapping, or round it."
    )
    kept = replace(
        source, table=source.table.drop(columns=names),
        features=source.features[~source.features["name"].isin(names)],
    )  # fmt: skip
    return kept, [said]


def measure_again(table: ClinicalTable, patients: set[Patient]) -> None:
    """Have the severity of patients scored from what is known now, where a model does that."""
    folder = settings.FOLDER
    scored = [name for name, each in folder.diseases.items() if folder.models_of(each).severity]
    if not scored:
        return
    for place, patient in enumerate(sorted(patients, key=lambda each: each.pk)):
        have_measured(patient, table.owner, table.study_group, scored, place)


def _patients_of(table: ClinicalTable, numbers: pd.Series) -> dict[str, Patient]:
    """Patients of the table's centre and study group by the hospital's numbers.

    Those whom its owner may not bring anything in for are not known to him.
    """
    names = Pseudonyms(read_or_make_key(settings.FOLDER.root / KEY_FILE))
    raw_of = {names.patient(f"{table.centre.name} {raw}"): str(raw) for raw in numbers}
    own = Patient.objects.seen_by(table.owner, Right.UPLOAD).filter(
        centre=table.centre, study_groups=table.study_group
    )
    found: dict[str, Patient] = {}
    pseudonyms = list(raw_of)
    for start in range(0, len(pseudonyms), 500):  # databases limit what one question may hold
        for patient in own.filter(pseudonym__in=pseudonyms[start : start + 500]):
            found[raw_of[patient.pseudonym]] = patient
    return found


def _with_dates(source: ClinicalSource) -> pd.DataFrame:
    """Rows of contract 9 with the dates of their patients, as `covidlit clinical` writes them."""
    table = source.table.drop(columns=[*source.dates.columns[1:], *LEFT_OUT], errors="ignore")
    return table.merge(source.dates, on="patient_id", validate="m:1").dropna(axis=1, how="all")


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: days as texts, what is missing as null."""
    days = table.select_dtypes("datetime").columns
    texts = table.assign(**{name: table[name].dt.strftime("%Y-%m-%d") for name in days})
    found: list[dict[str, Any]] = json.loads(texts.to_json(orient="records", double_precision=15))
    return found
