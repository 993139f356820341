"""The severity in the document: the score on a line from 0 to 1, and what made it."""

from __future__ import annotations

from collections.abc import Iterator

from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable, KeepTogether

from covidlit.lesions.report.severity import SeveritySection
from covidlit.lesions.report.sheet import (
    BODY,
    CAUTION,
    HEADING,
    LINE,
    POINT,
    SMALL,
    SUBHEADING,
    WIDTH,
    Text,
    data_table,
    heading,
    style,
)

_SCORE = style("P", 12, spaceAfter=5)
_BAND, _POINT = "#9dc3e0", "#b45309"


class Scale(Flowable):
    """The score between 0 and 1, with the range of its members and the operating point.

    Args:
        section: whose marks are drawn.
    """

    def __init__(self, section: SeveritySection) -> None:
        super().__init__()
        self._section = section
        self.width, self.height = WIDTH * 0.6, 16.0

    def wrap(self, *available: float) -> tuple[float, float]:
        """Its size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw it."""
        canvas, marks = self.canv, self._section.marks
        at = {name: self.width * place / 100 for name, place in marks.items()}
        said = f"{self._section.score} on a line from 0 to 1"
        with canvas.tagged("Figure", said):
            canvas.setFillColor(HexColor(LINE))
            canvas.rect(0, 3, self.width, 8, stroke=0, fill=1)
            if "low" in at:
                canvas.setFillColor(HexColor(_BAND))
                canvas.rect(at["low"], 3, max(1.0, at["high"] - at["low"]), 8, stroke=0, fill=1)
            if "point" in at:
                canvas.setStrokeColor(HexColor(_POINT))
                canvas.setDash(2, 1.5)
                canvas.line(at["point"], 0, at["point"], 14)
                canvas.setDash()
            canvas.setFillColor(HexColor("#000000"))
            canvas.rect(at["score"] - 1, 1, 2, 12, stroke=0, fill=1)


def severity_parts(section: SeveritySection) -> Iterator[Flowable]:
    """What the document says of a severity."""
    row = section.severity.row
    first: list[Flowable] = [Text("Severity", HEADING)]
    if row.get("trained_on_synthetic"):
        first.append(
            Text("Trained on synthetic data: this score means nothing for patients.", CAUTION)
        )
    if not section.score:
        yield KeepTogether([*first, Text(f"No score: {row.get('reason')}", BODY)])
    else:
        said = f"{section.score}: probability of {section.severity.positive}, as the model says"
        interval = f"; interval of its members: {section.members}" if section.members else ""
        first += [Text(f"{said}{interval}.", _SCORE), Scale(section), Text(_legend(section), SMALL)]
        yield KeepTogether(first)
        if section.called:
            yield Text(f"Called {section.called}.", BODY)
        yield from _bars(section)
    yield from (Text(note, POINT, "•") for note in section.notes)
    if section.severity.model:
        yield Text(f"Scored by {section.severity.model}.", SMALL)


def _legend(section: SeveritySection) -> str:
    parts = ["from 0 to 1"]
    if section.members:
        parts.append("band: its members")
    if "point" in section.marks:
        parts.append("dashed: operating point")
    return "; ".join(parts)


def _bars(section: SeveritySection) -> Iterator[Flowable]:
    yield from heading("What made the score", SUBHEADING)
    yield Text(
        "Above 0: raises the score, below: lowers it, in log odds, beside a patient with the "
        f"medians of the training part (score {section.reference}). All of them sum to the "
        "difference (Shapley values).", SMALL,
    )  # fmt: skip
    heads = ["Value of", "Value", "Contribution"]
    heads += ["Attention"] if section.has_attention else []
    yield data_table(
        [*heads, "In the training part"],
        [
            [
                bar.label, bar.value, bar.contribution,
                *([bar.attention] if section.has_attention else []),
                "; ".join(filter(None, [bar.place_text, bar.outside and f"Outside: {bar.outside}"]))
                or "no place",
            ]
            for bar in section.bars
        ],
        9, size=7,
    )  # fmt: skip
    if section.missing:
        yield Text(f"Missing: {'; '.join(section.missing)}.", BODY)
