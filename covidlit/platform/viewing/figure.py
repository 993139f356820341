"""Values over days as a figure that needs no script: SVG, drawn by the templates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

LEFT, RIGHT, TOP, BOTTOM = 60, 16, 14, 34
WIDTH, HEIGHT = 640, 220
SMALL = (320, 150)
"""Width and height of one of many figures beside each other."""


class Value(NamedTuple):
    """A value of a day.

    Args:
        day: of it.
        value: in the figure's unit.
        note: what is said of it; empty where nothing is.
    """

    day: date
    value: float
    note: str = ""


class Event(NamedTuple):
    """Something that happened on a day, in words."""

    day: date
    text: str


class Point(NamedTuple):
    """A value where it stands in the figure."""

    x: float
    y: float
    day: date
    value: float
    note: str


class Mark(NamedTuple):
    """An event where it stands in the figure."""

    x: float
    number: int
    event: Event


class Figure(NamedTuple):
    """A figure of values over days.

    Args:
        points: by day.
        ticks: of the vertical axis, (y, label).
        marks: events between the first and the last day.
        width, height: of the whole.
    """

    points: tuple[Point, ...]
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]
    width: int
    height: int

    @property
    def line(self) -> str:
        """The points as SVG's `polyline` takes them."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)

    @property
    def bottom(self) -> int:
        """Where the values' part ends."""
        return self.height - BOTTOM

    @property
    def below(self) -> int:
        """Where the days stand."""
        return self.height - 8


def figure_of(
    values: Sequence[Value],
    events: Sequence[Event] = (),
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Figure | None:
    """A figure of values, with 0 in it; None unless they are of two days at least.

    Args:
        values: drawn from the smallest, or 0, to the largest, or 0.
        events: numbered as they come; those outside the days of the values are left out.
    """
    known = sorted(values, key=lambda each: each.day)
    if len(known) < 2 or known[0].day == known[-1].day:
        return None
    first, last = known[0].day, known[-1].day
    low = min(0.0, *(each.value for each in known))
    top = max(0.0, *(each.value for each in known))
    top = top if top > low else 1.0
    across, down = width - LEFT - RIGHT, height - TOP - BOTTOM

    def place(day: date) -> float:
        return LEFT + across * (day - first).days / (last - first).days

    def level(value: float) -> float:
        return TOP + down * (1 - (value - low) / (top - low))

    points = tuple(Point(place(v.day), level(v.value), *v) for v in known)
    marks = tuple(
        Mark(place(event.day), number, event)
        for number, event in enumerate(events, start=1)
        if first <= event.day <= last
    )
    marked = (low, low + (top - low) / 2, top)
    ticks = tuple((level(value), f"{value:.3g}") for value in marked)
    return Figure(points, ticks, marks, width, height)
