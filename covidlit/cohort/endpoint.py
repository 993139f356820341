"""The label rule of an endpoint in time: who has the event, and after how many days."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np
import pandas as pd

from covidlit.cohort.columns import TEXT
from covidlit.cohort.label_rule import ByColumn
from covidlit.counted import counted
from covidlit.errors import ManifestError, did_you_mean

TIME, COMPETING = "time_days", "competing_event"
"""Columns that the rule adds to the rows."""


class Endpoint:
    """Targets of an event with censoring: 1 for who has it, 0 for who was followed without it.

    Beside the target the rows get `time_days`, from the start of the clock to the event or the last
    news, and, where competing values are named, `competing_event`: whether another event ended the
    follow-up. The clock starts at the index, or `after` it where values of later are used.

    Args:
        column: whose values say how the follow-up ended, such as outcome or progressed.
        positive: values that are the event.
        negative: values that are censoring; null: every other value. Rows of further values, and
            those without one, get no target, hence are left out and counted.
        time: column of days to the event or the last news, such as event_time_days.
        horizon: days from the start of the clock; later events do not count, everybody's follow-up
            ends there. Null: none.
        competing: values, of those that are no event, after which the event is no longer seen, such
            as a discharge alive where the event is death in hospital.
    """

    n_classes = 2

    def __init__(
        self,
        column: str,
        positive: Sequence[object],
        time: str = "event_time_days",
        negative: Sequence[object] | None = None,
        horizon: float | None = None,
        competing: Sequence[object] | None = None,
    ) -> None:
        self._ended = ByColumn(column, positive, negative)
        self._other = None if not competing else ByColumn(column, competing)
        self.column, self.time = self._ended.column, str(time)
        bad = isinstance(horizon, bool) or not isinstance(horizon, int | float | None)
        if bad or (horizon is not None and not 0 < horizon < np.inf):
            raise ManifestError(
                f"must be a number of days above 0, or null, not {horizon!r}.",
                where="label_rule.horizon",
                fix="use 28, or null.",
            )
        self.horizon = None if horizon is None else float(horizon)
        self.landmark = 0.0
        both = set(self._ended.positive) & set(self._other.positive if self._other else ())
        if both:
            raise ManifestError(
                f"named both as the event and as competing with it: {', '.join(sorted(both))}.",
                where="label_rule.competing",
                fix="name each value once.",
            )

    @property
    def positive(self) -> tuple[str, ...]:
        """The values that are the event."""
        return self._ended.positive

    def after(self, days: float) -> Self:
        """The rule whose clock starts so many days after the index, at a landmark.

        Whoever has the event, or is lost, up to then gets no target. Otherwise a model would be
        told, by a value of the second day, that the first was survived.

        Source: Anderson, Cain and Gelber, J Clin Oncol 1983; van Houwelingen, Scand J Stat 2007.
        """
        other = copy(self)
        other.landmark = float(days)
        return other

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        """The target of each row: Int64, 1: event, 0: censored, null where the rule gives none.

        Raises:
            ManifestError: a column is missing, a value that the rule names is misspelt, times are
                no numbers, or no row gets a target.
        """
        self._ended.apply(manifest)
        if self._other is not None:
            self._other.apply(manifest)
        labels = self.explain(manifest)
        if len(labels) and labels["target"].isna().all():
            told = labels["reason"].value_counts()
            raise ManifestError(
                "no row gets a target: "
                + "; ".join(f"{counted(n, 'row')}: {reason}" for reason, n in told.items()) + ".",
                where="label_rule",
                fix=f"complete the columns {self.column} and {self.time}"
                + (", or use values of a shorter window: data.after_days=0." if self.landmark
                   else "."),
            )  # fmt: skip
        return labels["target"]

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`target` and `reason` of each row; a reason stands where the target is null."""
        labels = self._ended.explain(manifest)
        days = self._days(manifest)
        target, reason = labels["target"].copy(), labels["reason"].astype(TEXT)
        for wrong, why in (
            (days.isna(), f"no {self.time}"),
            (days < 0, f"a negative {self.time}"),
            (self._before_clock(days), self.too_early),
        ):
            # A row without an outcome keeps that reason.
            reason = reason.mask(wrong & target.notna(), why)
            target = target.mask(wrong)
        if self.horizon is not None:
            target = target.mask(target.eq(1) & (days - self.landmark > self.horizon), 0)
        return pd.DataFrame({"target": target, "reason": reason})

    def follow_up(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`time_days` of each row, and `competing_event` where competing values are named.

        Raises:
            ManifestError: the table has another column of that name.
        """
        if TIME in manifest and self.time != TIME:
            raise ManifestError(
                f"the table has a column {TIME!r}, and the rule goes by {self.time!r}.",
                where="label_rule.time",
                fix=f"set label_rule.time={TIME}, or give the column another name.",
            )
        days = self._days(manifest)
        days = (days - self.landmark).mask(self._before_clock(days))
        end = np.inf if self.horizon is None else self.horizon
        found = pd.DataFrame({TIME: days.clip(upper=end)}, index=manifest.index)
        if self._other is not None:
            other = self._other.explain(manifest)["target"].eq(1) & (days <= end)
            found[COMPETING] = other.fillna(False).astype(bool)
        return found

    def _before_clock(self, days: pd.Series) -> pd.Series:
        """Whose follow-up ends before the clock starts; at 0, the index itself, nobody's does."""
        return (days >= 0) & (days <= self.landmark) & (self.landmark > 0)

    @property
    def too_early(self) -> str:
        """The reason of a row whose follow-up ends before the clock starts."""
        days = "1 day" if self.landmark == 1 else f"{self.landmark:g} days"
        return (
            f"the event or the last news is within {days} of the index, of which values are used: "
            "time counts from then on"
        )

    def _days(self, manifest: pd.DataFrame) -> pd.Series:
        columns = list(map(str, manifest.columns))
        if self.time not in columns:
            raise ManifestError(
                f"there is no column {self.time!r}.",
                where="label_rule.time",
                fix=did_you_mean(self.time, columns)
                or f"choose one of {', '.join(columns)}; of clinical sources: name the date of the "
                "outcome (outcome_date) or event_time_days in the mapping.",
            )
        days = pd.to_numeric(manifest[self.time], errors="coerce").astype("float64")
        wrong = (days.isna() & manifest[self.time].notna()) | np.isinf(days)
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise ManifestError(
                f"column {self.time!r}: {manifest[self.time].iloc[place]!r} is no number of days "
                f"({counted(int(wrong.sum()), 'such row')}).",
                where="label_rule.time",
                fix="give days as numbers, and leave the cell empty where they are not known.",
            )
        return days
