"""A table of contract 9 as a source, as `covidlit clinical` or a synthetic cohort writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.contract import read_clinical
from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.cohort.clinical.read_people import DATES, STATIC
from covidlit.errors import ManifestError
from covidlit.tables import read_table


def mapping_of_own(path: str | Path) -> ClinicalMapping:
    """The mapping of a table of contract 9; further columns of numbers are features.

    Raises:
        ManifestError: the file breaks contract 9.
    """
    table = read_clinical(path)
    content: dict[str, Any] = {
        "name": Path(path).name,
        "source": "contract 9",
        "patient": "patient_id",
        "date": {"column": "date", "order": "ymd"},
        "labs": {
            name: {"names": name, "unit": _unit(name)} for name in INDICATORS if name in table
        },
    }
    content |= {name: {"column": name, "order": "ymd"} for name in DATES if name in table}
    content |= {name: name for name in (*STATIC, "severity") if name in table}
    if "comorbidity_count" in table:
        content["comorbidities"] = {"count": "comorbidity_count"}
    symptoms = [str(name) for name in table if str(name).startswith("symptom_")]
    if symptoms:
        content["symptoms"] = {"flags": {name.removeprefix("symptom_"): name for name in symptoms}}
    taken = {"patient_id", "date", "comorbidity_count", "severity", *DATES, *STATIC, *symptoms,
             *INDICATORS}  # fmt: skip
    known, further, groups = _known(Path(path)), {}, {}
    for name in map(str, table.columns):
        if name in taken or table[name].isna().all():
            continue
        if pd.api.types.is_bool_dtype(table[name]):
            groups[name] = {"column": name, "map": {"true": True, "false": False}}
        elif pd.api.types.is_numeric_dtype(table[name]) and name.isidentifier():
            further[name.lower()] = {"names": name, "held_in": "1", **known.get(name, {})}
    return ClinicalMapping.model_validate({**content, "further": further, "groups": groups})


def features_path(path: str | Path) -> Path:
    """Where `covidlit clinical` says what the columns of numbers of a table are."""
    return Path(path).with_suffix(".features.csv")


def _known(path: Path) -> dict[str, dict[str, Any]]:
    """What the file of features beside a table says of those beside the 17 indicators."""
    beside = features_path(path)
    if not beside.is_file():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for row in read_table(beside, ManifestError).to_dict("records"):
        own = {key: row[key] for key in ("group", "description", "worse") if _there(row.get(key))}
        if _there(row.get("unit")):
            own |= {"unit": str(row["unit"]), "held_in": str(row["unit"])}
        found[str(row["name"])] = own
    return found


def _there(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _unit(name: str) -> str:
    unit = INDICATORS[name].unit
    return "%" if unit.startswith("percent") else unit
