"""Repeated measurements as one row per patient, from nothing later than a window allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.elapsed import days_between, is_before, is_day
from covidlit.counted import counted
from covidlit.errors import ConfigError, ManifestError, did_you_mean

Rule = Literal["first", "last", "worst", "mean", "slope"]
RULES: tuple[str, ...] = get_args(Rule)

WORSE: dict[str, Literal["high", "low"]] = {
    "leukocytes_1e9_per_l": "high",
    "neutrophils_1e9_per_l": "high",
    "lymphocytes_1e9_per_l": "low",
    "monocytes_1e9_per_l": "low",
    "eosinophils_1e9_per_l": "low",
    "neutrophil_percent": "high",
    "lymphocyte_percent": "low",
    "monocyte_percent": "low",
    "eosinophil_percent": "low",
    "red_cells_1e12_per_l": "low",
    "haemoglobin_g_per_l": "low",
    "haematocrit_percent": "low",
    "platelets_1e9_per_l": "low",
    "alt_u_per_l": "high",
    "ast_u_per_l": "high",
    "albumin_g_per_l": "low",
    "pao2_mmhg": "low",
}
"""The side of each indicator on which severe COVID-19 lies.

Source: Guan et al., N Engl J Med 2020; Henry et al., Clin Chem Lab Med 2020 (meta-analysis).
"""

Window = float | tuple[float | None, float | None]
"""Days before the index that count, and days after it; one number: before it, none after.

None before: everything earlier; None after: everything until the outcome.
"""


@dataclass(frozen=True)
class Reduced:
    """What a reduction gives.

    Args:
        table: `patient_id` and a column for each feature and rule, NaN where nothing counts; one
            row for each patient of the index dates, in their order.
        columns: name in `table` -> feature and rule.
        later: measurements (rows) after each window, which were not used.
        earlier: measurements before it.
        after_outcome: measurements at or after the outcome, never used.
        empty: patients without any value in their window.
    """

    table: pd.DataFrame
    columns: dict[str, tuple[str, str]]
    later: int
    earlier: int
    after_outcome: int
    empty: int


def reduce_measurements(
    table: pd.DataFrame,
    index_dates: pd.DataFrame | Mapping[str, pd.Timestamp],
    rule: str | Mapping[str, str | Sequence[str]] = "first",
    window_days: Window = (None, 0.0),
    *,
    features: Sequence[str] | None = None,
    worse: Mapping[str, str | None] | None = None,
) -> Reduced:
    """One row per patient: of each feature the first, last, worst or mean value, or its slope.

    A measurement later than the window, or at or after the outcome, is never used. Where either
    date has no time of day, whole days are compared: a value of the index day counts.

    Args:
        table: `patient_id`, `moment` (or `date`, as in contract 9) and columns of numbers.
        index_dates: `patient_id`, `index_date`, and `outcome_date` where it is known; or patient ->
            index date.
        rule: of all features; or feature -> rule or rules, with that of the others under `default`
            (else first). slope is per day by least squares, and needs values of two moments; its
            column is called `<feature>_slope_per_day`. Of several rules all but the first name
            their column: `<feature>_worst`.
        window_days: see `Window`.
        features: columns of numbers; None: all of the table.
        worse: feature -> "high" or "low", the side of the disease, beside `WORSE`.

    Raises:
        ConfigError: a rule or a feature that does not exist, or worst of a feature whose side is
            not known.
        ManifestError: a patient without an index date, or a feature that was known only after the
            outcome.
    """
    if features is None:
        skipped = ("patient_id", "moment", "date")
        features = [
            str(name) for name in table
            if name not in skipped and pd.api.types.is_float_dtype(table[name])
        ]  # fmt: skip
    asked = _rules(rule, features)
    sides = {**WORSE, **{name: side for name, side in (worse or {}).items() if side}}
    for name, rules in asked.items():
        if "worst" in rules and name not in sides:
            raise ConfigError(
                f"it is not known which side of {name} is the worse one.",
                where=f"rule.{name}",
                fix=f"say worse: high or worse: low of {name} in the mapping, or take another rule",
            )
    dates = _dates(index_dates)
    key = "moment" if "moment" in table else "date"
    rows = table[table["patient_id"].isin(set(dates.index))]
    rows = rows.assign(_moment=rows[key].astype("datetime64[ns]"))
    own = dates.reindex(rows["patient_id"]).set_axis(rows.index)
    after = ~(own["outcome_date"].isna() | is_before(rows["_moment"], own["outcome_date"]))
    refuse_known_after(rows, after, features, dates)
    before_days, after_days = _window(window_days)
    early, late = _outside(rows["_moment"], own["index_date"], before_days, after_days)
    used = rows[~(early | late | after)].sort_values("_moment", kind="stable")
    columns, parts = {}, []
    for name in features:
        for place, each in enumerate(asked[name]):
            own_name = name if place == 0 else f"{name}_{each}"
            own_name = f"{name}_slope_per_day" if each == "slope" else own_name
            columns[own_name] = (name, each)
            parts.append(_reduced(used, name, each, sides.get(name)).rename(own_name))
    reduced = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=dates.index)
    reduced = reduced.reindex(dates.index).astype("float64")
    result = reduced.rename_axis("patient_id").reset_index()
    return Reduced(
        result,
        columns,
        later=int((late & ~after).sum()),
        earlier=int((early & ~after).sum()),
        after_outcome=int(after.sum()),
        empty=int(reduced.isna().all(axis=1).sum()),
    )


def refuse_known_after(
    rows: pd.DataFrame, after: pd.Series, features: Iterable[str], dates: pd.DataFrame
) -> None:
    """Refuse features whose every value is of the outcome's date or later.

    Args:
        rows: with `patient_id` and the features.
        after: whether each row is of the outcome or later.
        features: columns.
        dates: by patient, for the message.

    Raises:
        ManifestError: names them.
    """
    for name in features:
        known = rows[name].notna()
        if known.any() and after[known].all():
            first = rows[known].iloc[0]
            outcome = dates.loc[first["patient_id"], "outcome_date"]
            raise ManifestError(
                f"{name} was known only after the outcome: all {int(known.sum())} values are of "
                f"its date or later (patient {first['patient_id']}: {first['_moment']}, outcome "
                f"{outcome}).",
                where=f"feature {name}",
                fix="leave it out of the mapping: it cannot be used to predict the outcome.",
            )


def within_days(measured: pd.DataFrame, rule: str) -> pd.DataFrame:
    """One row per patient and day, of several moments of which the first or last values count.

    Args:
        measured: `patient_id`, `moment` and other columns.
        rule: "first" or "last".

    Returns:
        `patient_id`, `date` and the other columns, in the order of the patients.
    """
    rows = measured.sort_values("moment", kind="stable")
    rows = rows.assign(date=rows["moment"].dt.normalize()).drop(columns="moment")
    groups = rows.groupby(["patient_id", "date"], sort=False)
    days = (groups.last() if rule == "last" else groups.first()).reset_index()
    order = {name: k for k, name in enumerate(measured["patient_id"].unique())}
    days = days.sort_values("date", kind="stable")
    return days.sort_values("patient_id", key=lambda c: c.map(order), kind="stable").reset_index(
        drop=True
    )


def _rules(
    rule: str | Mapping[str, str | Sequence[str]], features: Sequence[str]
) -> dict[str, list[str]]:
    given = {"default": rule} if isinstance(rule, str) else dict(rule)
    default = given.pop("default", "first")
    for name in given:
        if name not in features:
            raise ConfigError(
                f"there is no feature {name!r}.",
                where=f"rule.{name}",
                fix=did_you_mean(name, features) or f"the features are {', '.join(features)}.",
            )
    asked = {}
    for name in features:
        own = given.get(name, default)
        asked[name] = [own] if isinstance(own, str) else list(own)
        for each in asked[name]:
            if each not in RULES:
                raise ConfigError(
                    f"there is no rule {each!r}.",
                    where="rule",
                    fix=did_you_mean(str(each), RULES) or f"use one of {', '.join(RULES)}.",
                )
    return asked


def _dates(index_dates: pd.DataFrame | Mapping[str, pd.Timestamp]) -> pd.DataFrame:
    if isinstance(index_dates, pd.DataFrame):
        dates = index_dates.set_index("patient_id")
    else:
        dates = pd.DataFrame({"index_date": pd.Series(dict(index_dates))})
    if "outcome_date" not in dates:
        dates = dates.assign(outcome_date=pd.NaT)
    dates = dates[["index_date", "outcome_date"]].astype("datetime64[ns]")
    without = dates.index[dates["index_date"].isna()]
    if len(without):
        raise ManifestError(
            f"patient {without[0]} has no index date ({counted(len(without), 'such patient')}).",
            where="index date",
            fix="complete the column, or take the first measurement as index "
            "(index=first_measurement).",
        )
    return dates


def _window(window: Window) -> tuple[float | None, float | None]:
    before, after = (window, 0.0) if isinstance(window, int | float) else window
    for name, days in (("before", before), ("after", after)):
        if days is not None and not days >= 0:
            raise ConfigError(
                f"{days} days {name} the index are no window.",
                where="window_days",
                fix="give days of 0 or more, or null for no limit.",
            )
    return before, after


def _outside(
    moments: pd.Series, index: pd.Series, before: float | None, after: float | None
) -> tuple[pd.Series, pd.Series]:
    """Whether moments lie before a window about the index, and whether after it."""
    whole = is_day(moments) | is_day(index)
    none = pd.Series(False, index=moments.index)
    days = days_between(index, moments)
    early = none if before is None else days < -before
    if after is None:
        return early, none
    limit = pd.Series(after, index=moments.index).mask(whole, float(np.floor(after)))
    return early, days > limit


def _reduced(used: pd.DataFrame, name: str, rule: str, side: str | None) -> pd.Series:
    rows = used.loc[used[name].notna(), ["patient_id", "_moment", name]]
    groups = rows.groupby("patient_id", sort=False)
    if rule == "slope":
        return _slopes(rows, name)
    if rule == "worst":
        return groups[name].max() if side == "high" else groups[name].min()
    return groups[name].agg(rule)


def _slopes(rows: pd.DataFrame, name: str) -> pd.Series:
    """Change per day by least squares; NaN where there are no two moments."""
    first = rows.groupby("patient_id")["_moment"].transform("min")
    time = days_between(first, rows["_moment"])
    keyed = pd.DataFrame({"p": rows["patient_id"], "t": time, "y": rows[name]})
    centred = keyed[["t", "y"]] - keyed.groupby("p")[["t", "y"]].transform("mean")
    sums = (
        pd.DataFrame({"p": keyed["p"], "ty": centred["t"] * centred["y"], "tt": centred["t"] ** 2})
        .groupby("p")[["ty", "tt"]]
        .sum()
    )
    return (sums["ty"] / sums["tt"].where(sums["tt"] > 0)).rename(name)
