"""How estimates and intervals are written on the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from covidlit.evaluation.difference import format_p
from covidlit.evaluation.subgroups import MISSING

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_CENTRES = 6
"""More centres than these are counted, not listed, in a sentence."""


def interval_html(
    record: dict[str, Any], percent: bool = False, unit: str = "%", digits: int = 3
) -> Markup:
    """An estimate as "0.955 (0.938 to 0.971)" or "91.5% (87.0 to 94.6)"; undefined ones say why."""
    if record["value"] is None:
        return Markup('<span class="undefined">undefined: {}</span>').format(record["reason"])
    scale, unit, places = (100, unit, 1) if percent else (1, "", digits)
    value = f"{scale * record['value']:.{places}f}{unit}"
    if record["low"] is None:
        return Markup('{} <span class="undefined">(no interval: {})</span>').format(
            value, record["reason"]
        )
    low, high = scale * record["low"], scale * record["high"]
    return Markup('{} <span class="ci">({:.{p}f} to {:.{p}f})</span>').format(
        value, low, high, p=places
    )


def score_meaning(rows: pd.DataFrame) -> str:
    """What high and low scores mean, such as "A score near 1 means: covid; near 0: cap or np."

    Args:
        rows: with `class_name` and a `target` of 0 or 1, 1 for the positive ones.

    Returns:
        The sentence; empty where the names of the classes do not tell it, because none of the
        positive rows has one or scans of one class are both positive and negative.
    """
    positive, negative = (
        sorted(rows.loc[rows["target"] == target, "class_name"].dropna().astype(str).unique())
        for target in (1, 0)
    )
    if not positive or set(positive) & set(negative):
        return ""
    low = f"; near 0: {_either(negative)}" if negative else ""
    return f"A score near 1 means: {_either(positive)}{low}."


def centres_text(by_centre: dict[str, int]) -> str:
    """Where scans come from, such as "from centre 3" or "from centres 1 (40), 2 (31)".

    Args:
        by_centre: number of scans of each centre, those of none under `MISSING`.
    """
    known = {name: n for name, n in by_centre.items() if name != MISSING}
    if not known:
        return "from unknown centres"
    unknown = f" and {by_centre[MISSING]} of unknown centre" if MISSING in by_centre else ""
    if len(known) > _SHOWN_CENTRES:
        return f"from {len(known)} centres{unknown}"
    if len(known) == 1 and not unknown:
        return f"from centre {next(iter(known))}"
    named = ", ".join(f"{name} ({n})" for name, n in known.items())
    return f"from centre{'s' if len(known) > 1 else ''} {named}{unknown}"


def _either(names: Sequence[str]) -> str:
    """Such as "covid", "cap or np", "cap, np or other"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def difference_html(record: dict[str, Any], percent: bool = False) -> Markup:
    """A difference with signs, as "+0.021 (−0.010 to +0.052)" or "+2.1 (−1.0 to +5.2)"."""
    if record["value"] is None:
        return interval_html(record)
    scale, places = (100, 1) if percent else (1, 3)
    numbers = [
        None if record[end] is None else f"{scale * record[end]:+.{places}f}".replace("-", "−")
        for end in ("value", "low", "high")
    ]
    if numbers[1] is None:
        return Markup('{} <span class="undefined">(no interval: {})</span>').format(
            numbers[0], record["reason"]
        )
    return Markup('{} <span class="ci">({} to {})</span>').format(*numbers)


def p_html(p_value: float | None) -> Markup:
    """A p-value for a column that is headed by its name: "0.012", "< 0.001", or a dash."""
    if p_value is None:
        return Markup("–")
    return Markup("{}").format(format_p(p_value).removeprefix("p ").removeprefix("= "))


def cell_html(record: dict[str, Any]) -> Markup:
    """A percentage for a crowded table: without the sign, and a dash where it is undefined."""
    if record["value"] is None:
        return Markup("–")
    if record["low"] is None:
        return Markup('{:.1f} <span class="undefined">(no interval)</span>').format(
            100 * record["value"]
        )
    return interval_html(record, True, "")


@dataclass(frozen=True)
class Scale:
    """The horizontal scale of the small interval bars beside a column of estimates."""

    low: float
    high: float
    mark: float

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]], mark: float, high: float = 1.0) -> Scale:
        """A scale that holds every interval and the mark, rounded down to a tenth."""
        lows = [record["low"] for record in records if record.get("low") is not None]
        low = min([mark, 0.9, *lows])
        return cls(max(0.0, int(low * 10 + 1e-9) / 10), high, mark)

    def place(self, value: float) -> float:
        """Position in percent."""
        return 100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)

    def bar(self, record: dict[str, Any]) -> Markup:
        """An interval as a small drawing: mark, line from low to high, dot at the value."""
        if record["value"] is None:
            return Markup("")
        mark, dot = self.place(self.mark), self.place(record["value"])
        line = ""
        if record["low"] is not None:
            low, high = self.place(record["low"]), self.place(record["high"])
            line = f'<i class="line" style="left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"></i>'
        return Markup(
            f'<span class="bar" aria-hidden="true"><i class="mark" style="left:{mark:.1f}%"></i>'
            f'{line}<i class="dot" style="left:{dot:.1f}%"></i></span>'
        )
