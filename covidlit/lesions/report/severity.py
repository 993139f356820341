"""A patient's severity as the report shows it: the score, what made it, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OPEN_BARS = 12
"""Values whose contribution is drawn at once; the others are folded away below them."""


@dataclass(frozen=True)
class ScoredValue:
    """A value that a score was made from.

    Args:
        feature: its column.
        label: what it is, for people.
        unit: of the value; empty where it has none.
        value: None where it is missing.
        place: share of the training part with a smaller value; None where it is unknown.
        outside: a sentence where it lies outside the range of the training part; else empty.
        contribution: to the log odds of the score, beside a patient with the training's medians.
        attention: weight that the network gave it; None where the model has none.
    """

    feature: str
    label: str
    unit: str
    value: float | None
    place: float | None
    outside: str
    contribution: float
    attention: float | None = None


@dataclass(frozen=True)
class Severity:
    """The score of a scan by a trained model; plain values alone, so that it can be kept as JSON.

    Args:
        row: of the table of scores, as `covidlit predict` writes it, with `patient_id`, `scan_id`
            and `acquisition_date`.
        values: what the score was made from; empty without a score.
        reference_score: of a patient with the medians of the training part; None without a score.
        positive: what the score is the probability of.
        model: what computed it, for people.
        lines: sentences on how the values were found.
    """

    row: Mapping[str, Any]
    values: tuple[ScoredValue, ...] = ()
    reference_score: float | None = None
    positive: str = ""
    model: str = ""
    lines: tuple[str, ...] = ()

    @classmethod
    def of_plain(cls, kept: Mapping[str, Any]) -> Severity:
        """From what `dataclasses.asdict` made of it and JSON has kept."""
        values = tuple(ScoredValue(**each) for each in kept["values"])
        return cls(**{**kept, "values": values, "lines": tuple(kept["lines"])})


@dataclass(frozen=True)
class Bar:
    """A value as the page draws it; lengths and places in percent of the width.

    Args:
        label, value: texts.
        contribution: text, with its sign.
        side: "up" where the value raises the score, else "down".
        length: of the bar, of half the width.
        place: in the training part; None where it is unknown.
        place_text: said of it.
        outside: a sentence; empty where the value lies within the training's range.
        attention: text; empty without.
    """

    label: str
    value: str
    contribution: str
    side: str
    length: float
    place: float | None
    place_text: str
    outside: str
    attention: str


@dataclass(frozen=True)
class SeveritySection:
    """What the page shows of a severity.

    Args:
        severity: the score.
        score, members, reference: texts; empty where there are none.
        called: the call of the operating point, or why there is none; a sentence.
        marks: places in percent of `score`, `low`, `high` and `point` on the line from 0 to 1.
        bars: the values, what contributes most first; missing ones among them.
        missing: the labels of missing values.
        notes: sentences.
    """

    severity: Severity
    score: str
    members: str
    reference: str
    called: str
    marks: Mapping[str, float]
    bars: tuple[Bar, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def open_bars(self) -> tuple[Bar, ...]:
        """What is shown at once: what contributes most, and all that lies outside the training."""
        return tuple(b for k, b in enumerate(self.bars) if k < OPEN_BARS or b.outside)

    @property
    def folded_bars(self) -> tuple[Bar, ...]:
        """The others."""
        return tuple(b for k, b in enumerate(self.bars) if k >= OPEN_BARS and not b.outside)

    @property
    def has_attention(self) -> bool:
        """Whether the model gave weights to the values."""
        return any(bar.attention for bar in self.bars)


def severity_section(severity: Severity | None) -> SeveritySection | None:
    """What the page shows of a severity; None where none was asked for."""
    if severity is None:
        return None
    row = severity.row
    numbers = {
        "score": row.get("score"), "low": row.get("score_low"), "high": row.get("score_high"),
        "point": row.get("operating_point"),
    }  # fmt: skip
    known = {name: float(value) for name, value in numbers.items() if value is not None}
    reference = severity.reference_score
    by_size = sorted(severity.values, key=lambda each: -abs(each.contribution))
    largest = max((abs(each.contribution) for each in by_size), default=0.0)
    notes = [*severity.lines, *filter(None, [row.get("notes")])]
    return SeveritySection(
        severity,
        f"{known['score']:.3f}" if "score" in known else "",
        f"{known['low']:.3f} to {known['high']:.3f}" if "low" in known else "",
        "" if reference is None else f"{reference:.3f}",
        _called(row, known),
        {name: 100 * min(max(value, 0.0), 1.0) for name, value in known.items()},
        tuple(_bar(each, largest) for each in by_size),
        tuple(each.label for each in severity.values if each.value is None),
        tuple(map(str, notes)),
    )


def _called(row: Mapping[str, Any], known: Mapping[str, float]) -> str:
    called = row.get("predicted_class")
    if "score" not in known or called is None or "point" not in known:
        return ""
    side = "at or above" if known["score"] >= known["point"] else "below"
    point = _like(known["point"], known["score"])
    return f"{called}: {side} {point}, the operating point of the model's run"


def _like(point: float, score: float) -> str:
    """The operating point with the digits that tell it from the score."""
    digits = next((n for n in range(3, 10) if f"{point:.{n}f}" != f"{score:.{n}f}"), 3)
    return f"{point:.{digits}f}"


def _bar(each: ScoredValue, largest: float) -> Bar:
    place = each.place
    unit = f" {each.unit.replace('10^9', '10⁹').replace('10^12', '10¹²')}" if each.unit else ""
    return Bar(
        each.label,
        "missing" if each.value is None else f"{each.value:.5g}{unit}",
        f"{each.contribution:+.2f}" if abs(each.contribution) >= 0.005 else "0.00",
        "up" if each.contribution > 0 else "down",
        100 * abs(each.contribution) / largest if largest else 0.0,
        None if place is None else 100 * place,
        "" if place is None else f"above {100 * place:.0f}% of the training part",
        each.outside,
        "" if each.attention is None else f"{each.attention:.3f}",
    )
