"""The table of labels: what is known about patients or scans, and which series a row is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.class_names import tidy_class_names
from covidlit.cohort.columns import TEXT, text, to_dates
from covidlit.cohort.manifest import MANIFEST_SCHEMA
from covidlit.cohort.misspelt import UIDS, column_meant, refuse_misspelt_columns
from covidlit.cohort.patient_ids import without_zeros
from covidlit.cohort.reader_columns import is_reading
from covidlit.cohort.spellings import GROUPS, refuse_other_spellings
from covidlit.cohort.together import Together
from covidlit.counted import counted
from covidlit.errors import ManifestError, did_you_mean
from covidlit.tables import read_table, row_texts, rows_text, validate, without_lines

KEYS = ("series_uid", "path", "study_uid", "patient_id")
"""Columns that tell which series a row is about, the most specific first."""

_OWN = (*KEYS, "scan_id", "target", "status", "reason")

ORIGINAL_ID = "original_id"
"""What others call a scan: `scan_id` of the labels, which a manifest makes itself."""

LABELS_SCHEMA = pa.DataFrameSchema(
    {
        **{
            name: pa.Column(
                column.dtype, column.checks, coerce=column.coerce, required=False, nullable=True
            )
            for name, column in MANIFEST_SCHEMA.columns.items()
            if name not in _OWN
        },
        **{name: text() for name in KEYS},
    },
    unique_column_names=True,
    strict=False,
)
"""The manifest's columns with the manifest's types, none of them required but one of `KEYS`."""

_USED = [name for name in LABELS_SCHEMA.columns if name not in UIDS]


@dataclass(frozen=True)
class Labels:
    """A checked table of labels.

    Args:
        table: one row per patient, study or series; its row numbers are those of the file.
        key: the column that tells which series a row is about.
        where: the file, for messages.
    """

    table: pd.DataFrame
    key: str
    where: str

    @property
    def contract_columns(self) -> list[str]:
        """The columns that a manifest knows: those of its schema, and readers'."""
        return [name for name in self._values if self._is_of_contract(name)]

    @property
    def further_columns(self) -> list[str]:
        """All other columns: any of them may identify a patient, whatever it is called."""
        return [name for name in self._values if not self._is_of_contract(name)]

    @property
    def _values(self) -> list[str]:
        return [name for name in self.table if name not in _OWN]

    def _is_of_contract(self, name: str) -> bool:
        return name in MANIFEST_SCHEMA.columns or is_reading(self.table[name])

    def match(self, series: Mapping[str, str], folder: str = "") -> int | None:
        """The index label of the row about a series; None where there is none.

        Args:
            series: its raw `series_uid`, `study_uid` and `patient_id`.
            folder: its folder relative to the searched one; a row's `path` matches this folder and
                everything below it, the deepest one first.
        """
        rows = self._rows
        if self.key != "path":
            return rows.get(str(series.get(self.key, "")).strip())
        place = Path(folder)
        for candidate in (place, *place.parents):
            if (row := rows.get(_tidy(str(candidate)))) is not None:
                return row
        return None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return dict(
            zip(map(_tidy_key(self.key), self.table[self.key]), self.table.index, strict=True)
        )


def read_labels(
    source: str | Path | pd.DataFrame,
    key: str | None = None,
    *,
    own_names: Sequence[str] = (),
    kept: Sequence[str] = (),
    checks: Sequence[Callable[[pd.DataFrame, str], None]] = (),
) -> Labels:
    """Read and check a table of labels.

    Args:
        source: a `.csv`, `.parquet` or `.xlsx` file, or a table.
        key: the column that tells which series a row is about; by default the most specific one
            that the table has: `series_uid`, `path` (folder or file below the searched folder),
            `study_uid`, `patient_id` (the PatientID of the DICOM files).
        own_names: columns that are spelt much like one of the manifest's, and groups that are
            spelt much like another one, meant as they are.
        kept: further columns that put rows into groups.
        checks: more of them, called with the table and its name; what they raise is told together
            with what is wrong otherwise.

    Raises:
        ManifestError: no key column, a column that is probably a misspelt one of the manifest's, an
            empty or repeated key, or a value that the manifest's schema refuses; names row, column
            and value.
    """
    if isinstance(source, pd.DataFrame):
        table = without_lines(source.reset_index(drop=True).rename(columns=str))
        where = "labels"
    else:
        table, where = read_table(source, ManifestError), str(source)
    present = [name for name in KEYS if name in table]
    if (key is None and not present) or (key is not None and key not in table):
        hint = _key_hint(list(table.columns), key)
        raise ManifestError(
            f"no column tells which scan a row is about (the table has: "
            f"{', '.join(map(str, table.columns))}).",
            where=where,
            fix=f"{hint}add {'one of ' + ', '.join(KEYS) if key is None else 'the column ' + key}.",
        )
    key = key or present[0]
    if key not in KEYS:
        raise ManifestError(
            f"{key!r} cannot be a key.", where="key", fix=f"choose one of {', '.join(KEYS)}."
        )
    if "scan_id" in table and ORIGINAL_ID not in table:
        table = table.rename(columns={"scan_id": ORIGINAL_ID})
    together = Together(where)
    with together.check():
        refuse_misspelt_columns(table.columns, _USED, own_names, where)
    with together.check():
        table = to_dates(validate(table, LABELS_SCHEMA, where, ManifestError), "acquisition_date")
    table = _tidied(table)
    with together.check():
        _check_keys(table.astype({key: TEXT}), key, where)
    with together.check():
        refuse_other_spellings(table, [*GROUPS, *kept], own_names, where)
    for check in checks:
        with together.check():
            check(table, where)
    together.raise_all()
    # The same key with the same values is one statement, made twice.
    return Labels(table.drop_duplicates(), key, where)


def _tidied(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its groups as they are meant: without blanks around them."""
    changed = {
        name: table[name].map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
        for name in GROUPS
        if name in table and table[name].dtype.kind not in "biufcmM"
    }
    table = table.assign(
        **{n: column.mask(column.eq("").fillna(False)) for n, column in changed.items()}
    )
    if "class_name" in table:
        table["class_name"] = tidy_class_names(table["class_name"].astype(TEXT))
    return table


def lost_zeros(wanted: pd.Series, known: Iterable[str]) -> dict[int, int]:
    """The keys that fail to match only because a spreadsheet dropped their leading zeros.

    Args:
        wanted: keys of labels.
        known: the ids of the scans.

    Returns:
        Index label of the key -> how many zeros it lacks.
    """
    ids = {name.strip() for name in known}
    whole = {without_zeros(name): name for name in ids if name}
    lost = {}
    for row, key in wanted.items():
        bare = without_zeros(key)
        if key.strip() not in ids and (name := whole.get(bare)) is not None:
            zeros = len(name) - len(name.lstrip("0")) - (len(key) - len(key.lstrip("0")))
            if zeros > 0:
                lost[row] = zeros
    return lost


def _key_hint(columns: list[str], key: str | None) -> str:
    """The columns that may be misspelt keys, as a question, or an empty text."""
    if key is not None:
        hint = did_you_mean(key, columns)
        return f"{hint} If not, " if hint else ""
    pairs = [(name, meant) for name in columns if (meant := column_meant(name, KEYS)) is not None]
    listed = ", ".join(f"{meant} by {name!r}" for name, meant in pairs)
    return f"did you mean {listed}? If not, " if pairs else ""


def _check_keys(table: pd.DataFrame, key: str, where: str) -> None:
    empty = table[key].isna() | (table[key].str.strip() == "")
    if empty.any():
        raise ManifestError(
            f"row {row_texts(table[empty])[0]}, column {key!r}: value (empty): must not be empty, "
            f"since it tells which scan a row is about ({counted(int(empty.sum()), 'such row')}).",
            where=where,
            fix="complete the column or remove the rows.",
        )
    tidy = table[key].map(_tidy_key(key))
    different = table.assign(**{key: tidy}).drop_duplicates()
    repeated = tidy.isin(different.loc[different[key].duplicated(), key])
    if repeated.any():
        value = tidy[repeated].iloc[0]
        rows = rows_text(table[tidy == value])
        shown = repr(value) if key == "path" else "the same value"
        finer = [name for name in KEYS[: KEYS.index(key)] if name != "path"]
        hint = f", or tell the scans apart by {' or '.join(reversed(finer))}" if finer else ""
        raise ManifestError(
            f"rows {rows}, column {key!r}: {shown} stands in several rows with different labels.",
            where=where,
            fix=f"keep one row for each {key}{hint}.",
        )


def _tidy_key(key: str) -> Callable[[str], str]:
    return _tidy if key == "path" else str.strip


def _tidy(path: str) -> str:
    """A relative path in one way of writing: forward slashes, no `./`, no slash at the end."""
    return Path(path.strip().replace("\\", "/")).as_posix()
