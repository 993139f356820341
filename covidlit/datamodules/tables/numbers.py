"""A table of numbers, what its columns mean, and how it finds the rows of a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from covidlit.cohort.feature_presets import PRESETS
from covidlit.cohort.leakage import Suspicion
from covidlit.cohort.patient_ids import same_patient
from covidlit.counted import counted
from covidlit.errors import ConfigError, ManifestError, did_you_mean
from covidlit.files import fingerprint

_TELLING = 3
"""So many numbers that are neither missing nor whole tell one scan from another."""


@dataclass(frozen=True)
class Numbers:
    """Rows of numbers that can be joined to a manifest.

    Args:
        table: `scan_id`, `patient_id` where it is known, and the columns of `features`, float64
            with NaN where a number is undefined.
        features: one row per number: name, group, description, unit, source, worse ("high" or
            "low": the side of the disease), and further columns that say how it is read.
        reasons: scan_id -> why a scan has no row, where that is known.
        place: of the table, for people.
        made_by: the command that makes the table, for errors.
    """

    table: pd.DataFrame
    features: pd.DataFrame
    reasons: Mapping[str, str] = field(default_factory=dict)
    place: str = "the table"
    made_by: str = ""

    @property
    def names(self) -> list[str]:
        """The columns of numbers, in order."""
        return self.features["name"].to_list()


@dataclass(frozen=True)
class Joined:
    """What a join found.

    Args:
        rows: those of the manifest in order, with `status`, `reason` and `key` (a hash of the row's
            numbers).
        values: of these rows the columns of numbers, NaN where one is undefined or there are none.
        lines: sentences on what found no counterpart.
        n_without: rows of the manifest without numbers that were not refused before.
        n_left: rows of numbers that are of no scan of the manifest.
    """

    rows: pd.DataFrame
    values: pd.DataFrame
    lines: tuple[str, ...]
    n_without: int
    n_left: int


def join(manifest: pd.DataFrame, numbers: Numbers, name: str) -> Joined:
    """Find the numbers of each scan of a manifest.

    A scan without numbers keeps its row, refused with the reason.

    Args:
        manifest: from `covidlit.datamodules.volume_table.with_target`.
        numbers: of scans, some of which may be others.
        name: of the numbers in sentences, such as "factors".

    Raises:
        ManifestError: no scan has numbers, or the two tables disagree on who a scan's patient is.
    """
    ids = manifest["scan_id"].astype(str)
    known = numbers.table.assign(scan_id=numbers.table["scan_id"].astype(str)).set_index("scan_id")
    found = ids.isin(known.index)
    if not found.any():
        example = f"{known.index[0]!r} there, {ids.iloc[0]!r} in the manifest"
        made = f"make them of this manifest: {numbers.made_by}." if numbers.made_by else None
        raise ManifestError(
            f"none of the {len(ids)} scans of the manifest has {name} (a scan_id is {example}).",
            where=numbers.place,
            fix=made,
        )
    lines = _patients(manifest[found], known, numbers.place)
    values = known[numbers.names].astype("float64").reindex(ids).set_axis(manifest.index)
    rows = manifest.assign(key=keys_of(values).where(found))
    ok = rows["status"].eq("ok") if "status" in rows else pd.Series(True, rows.index)
    without = ok & ~found
    unlisted = f"it has no row in {Path(numbers.place).name}"
    reasons = ids.map(dict(numbers.reasons)).astype("string").fillna(unlisted)
    rows["status"] = rows["status"].mask(without, "refused")
    rows["reason"] = rows["reason"].mask(without, f"no {name}: " + reasons)
    n_left = int((~known.index.isin(set(ids))).sum())
    if without.any():
        lines.append(f"{int(without.sum())} of {len(ids)} scans of the manifest have no {name}.")
    if n_left:
        lines.append(
            f"{n_left} of {len(known)} scans with {name} are not in the manifest, or not included, "
            "and are left out."
        )
    return Joined(rows, values, tuple(lines), int(without.sum()), n_left)


def undefined_lines(
    values: pd.DataFrame,
    train: pd.DataFrame,
    name: str,
    unit: str = "scan",
    mend: str = "data.columns",
) -> list[str]:
    """Sentences on numbers that no row has, or none of the training part.

    Args:
        values: of all rows that are used, a column per number.
        train: those of the training part.
        name: of the numbers in sentences, such as "factors".
        unit: what a row is: scan or patient.
        mend: the setting that leaves a number out.
    """
    lines = []
    nowhere = [column for column in values if values[column].isna().all()]
    for rows, where, columns in (
        (values, f"all {len(values)} {unit}s with {name}", nowhere),
        (
            train,
            f"all {len(train)} {unit}s of the training part",
            [column for column in train if column not in nowhere and train[column].isna().all()],
        ),
    ):
        if len(rows) and columns:
            one = len(columns) == 1
            lines.append(
                f"{', '.join(map(str, columns))} {'is' if one else 'are'} undefined in {where}: a "
                f"model learns nothing from {'it' if one else 'them'}; {mend} leaves "
                f"{'it' if one else 'them'} out."
            )
    return lines


def same_numbers(table: pd.DataFrame, values: pd.DataFrame, unit: str = "scan") -> list[Suspicion]:
    """Rows of different parts that have the same numbers, as one scan under two names has.

    Rows of which too few numbers tell them from others, such as those of scans without a lesion,
    are not compared.

    Args:
        table: with the rows' names, `part` and `key`.
        values: the numbers, by the table's index.
        unit: what a row is: scan or patient.
    """
    numbers = values.loc[table.index].to_numpy(dtype=float)
    telling = (np.isfinite(numbers) & (numbers != np.round(numbers))).sum(axis=1) >= _TELLING
    rows = table[telling & table["part"].notna().to_numpy()]
    found = []
    for _, group in rows.groupby("key", sort=False):
        if group["part"].nunique() > 1:
            named = " and ".join(
                f"{scan} ({part})"
                for scan, part in zip(group[f"{unit}_id"], group["part"], strict=True)
            )
            found.append(
                Suspicion(
                    "same numbers",
                    f"{unit.capitalize()}s {named} have the same numbers, as one {unit} under two "
                    "names has. If they are of one person, give both the same patient_id.",
                )
            )
    return found


def chosen_features(features: pd.DataFrame, asked: Sequence[str] | None) -> pd.DataFrame:
    """The rows of a table of features that are asked for, in the table's order.

    Of a preset (`covidlit.cohort.feature_presets`) those are taken that the table has; a group of
    the table comes before a preset of the same name.

    Args:
        features: name, group, ...
        asked: names of groups, of presets or of features; None: all.

    Raises:
        ConfigError: there is no such group, preset or feature, a preset of which the table has
            none, or none is named.
    """
    if asked is None:
        return features
    wanted = [asked] if isinstance(asked, str) else list(map(str, asked))
    groups, names = list(dict.fromkeys(features["group"])), list(features["name"])
    known = [*groups, *PRESETS, *names]
    chosen = pd.Series(False, index=features.index)
    for name in wanted or [""]:
        if name not in known:
            raise ConfigError(
                f"the data have no feature or group of features {name!r}."
                if name
                else "no feature is chosen.",
                where="model.features",
                fix=did_you_mean(name, known)
                or f"use null for all, or some of {', '.join(dict.fromkeys(known))}.",
            )
        if name in groups or name in names:
            found = features["group"].eq(name) | features["name"].eq(name)
        else:
            found = features["name"].isin(PRESETS[name])
        if not found.any():
            raise ConfigError(
                f"the data have none of the {len(PRESETS[name])} features of {name!r}.",
                where="model.features",
                fix=f"use null for all, or some of {', '.join([*groups, *names])}.",
            )
        chosen |= found
    return features[chosen].reset_index(drop=True)


def _patients(found: pd.DataFrame, known: pd.DataFrame, place: str) -> list[str]:
    """A sentence where patients are called otherwise in the two tables.

    One name in place of another is fine (other pseudonyms); one name for two people is not.
    """
    if "patient_id" not in known:
        return []
    pairs = pd.DataFrame(
        {
            "scan": found["scan_id"].astype(str).to_numpy(),
            "ours": [same_patient(name) for name in found["patient_id"].astype(str)],
            "theirs": [
                same_patient(name)
                for name in known.loc[found["scan_id"].astype(str), "patient_id"].astype(str)
            ],
        }
    )
    for one, other in (("ours", "theirs"), ("theirs", "ours")):
        several = pairs.groupby(one)[other].nunique()
        torn = several.index[several > 1]
        if len(torn):
            scans = pairs.loc[pairs[one] == torn[0]].drop_duplicates(other)["scan"].tolist()
            single, table = ("the manifest", place) if one == "ours" else (place, "the manifest")
            raise ManifestError(
                f"scans {scans[0]} and {scans[1]} are of one patient in {single} and of two in "
                f"{table} ({counted(len(torn), 'such patient')}).",
                where=place,
                fix="make the numbers of the scans of this manifest.",
            )
    renamed = int((pairs["ours"] != pairs["theirs"]).sum())
    if not renamed:
        return []
    return [
        f"The patients of {counted(renamed, 'scan')} have other names in {Path(place).name}; those "
        "of the manifest count."
    ]


def keys_of(values: pd.DataFrame) -> pd.Series:
    """A hash of the numbers of each row."""
    rows = values.astype("float64").to_numpy().tolist()
    return pd.Series([fingerprint([repr(v) for v in row])[:16] for row in rows], values.index,
                     dtype="string")  # fmt: skip
