"""A table of contract 9 as a source, as `covidlit clinical` or a synthetic cohort writes it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.contract import read_clinical
from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.cohort.clinical.read_people import DATES, STATIC
from covidlit.cohort.clinical.reserved import LABELS, taken
from covidlit.counted import counted
from covidlit.errors import ManifestError
from covidlit.tables import read_table

_COUNT = "comorbidity_count"


def mapping_of_own(path: str | Path) -> ClinicalMapping:
    """The mapping of a table of contract 9; further columns of numbers are features.

    Raises:
        ManifestError: the file breaks contract 9.
    """
    return own_table(path)[0]


def own_table(path: str | Path) -> tuple[ClinicalMapping, list[str]]:
    """The mapping of a table of contract 9, and notes on its further columns.

    Columns `target`, `class_name` and `split` are labels; what else is true or false is a group,
    and what is a number a feature, unless covidlit's own tables have a column of its name.

    Raises:
        ManifestError: the file breaks contract 9, or two columns would be one feature.
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
    flags = {key: _flags(table, key) for key in ("comorbidity", "symptom")}
    count = {"count": _COUNT} if _COUNT in table else {}
    if flags["comorbidity"] or count:
        content["comorbidities"] = {"flags": flags["comorbidity"], **count}
    if flags["symptom"]:
        content["symptoms"] = {"flags": flags["symptom"]}
    named = {"patient_id", "date", _COUNT, "severity", *DATES, *STATIC, *INDICATORS,
             *flags["comorbidity"].values(), *flags["symptom"].values()}  # fmt: skip
    groups = {name: _label(table[name]) for name in LABELS
              if name in table and table[name].notna().any()}  # fmt: skip
    further, more, notes = _further(Path(path), table, named | set(groups))
    mapping = ClinicalMapping.model_validate(
        {**content, "further": further, "groups": {**groups, **more}}
    )
    return mapping, notes


def features_path(path: str | Path) -> Path:
    """Where `covidlit clinical` says what the columns of numbers of a table are."""
    return Path(path).with_suffix(".features.csv")


def _flags(table: pd.DataFrame, kind: str) -> dict[str, str]:
    """Name -> column of the flags of diseases or symptoms."""
    names = [str(name) for name in table if str(name).startswith(f"{kind}_") and name != _COUNT]
    return {name.removeprefix(f"{kind}_"): name for name in names}


def _label(column: pd.Series) -> dict[str, Any]:
    own: dict[str, Any] = {"column": str(column.name)}
    if pd.api.types.is_bool_dtype(column):
        own["map"] = {"true": 1, "false": 0}
    return own


def _further(
    path: Path, table: pd.DataFrame, named: set[str]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Features and groups of the columns that contract 9 does not name, and notes on them."""
    known = _known(path)
    further: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    unnamed: list[str] = []
    left: list[str] = []
    for column in map(str, table.columns):
        own = table[column]
        if column in named or own.isna().all():
            continue
        if pd.api.types.is_bool_dtype(own):
            if taken(column, group=True):
                left.append(column)
            else:
                groups[column] = {"column": column, "map": {"true": True, "false": False}}
        elif pd.api.types.is_numeric_dtype(own):
            name = _feature_name(column)
            if not name or name in INDICATORS or taken(name):
                left.append(column)
                continue
            if name in further:
                raise ManifestError(
                    f"columns {further[name]['names']!r} and {column!r} would be one feature, "
                    f"{name}.",
                    where=path,
                    fix="give one of them another name.",
                )
            further[name] = {"names": column, "held_in": "1", **known.get(column, {})}
            unnamed += [name] if column not in known else []
    notes = []
    if unnamed:
        notes.append(
            f"Further columns of numbers are features: {', '.join(unnamed)}. One that is not known "
            "before the outcome has to be taken out of the table, or left out (model.features)."
        )
    if left:
        notes.append(
            f"{counted(len(left), 'column')} left out ({', '.join(left)}): covidlit's own tables "
            "have such names, or they hold no letter of a to z. Give a feature another name."
        )
    return further, groups, notes


def _feature_name(column: str) -> str:
    """A column as features are called: `CRP (mg/L)` is crp_mg_l; empty where nothing is left."""
    if re.fullmatch("[a-z][a-z0-9_]*", column.lower()):
        return column.lower()
    letters = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    return name if re.match("[a-z]", name) else ""


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
