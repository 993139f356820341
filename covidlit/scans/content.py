"""The check that every volume passes on its way in: Hounsfield units, of a chest.

`read_series` and `read_image` call it, and everything reads scans through these two.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import CovidlitError
from covidlit.scans.hounsfield import doubt_about_hu
from covidlit.scans.lungs import lungs_in_view
from covidlit.scans.scan import AIR_HU
from covidlit.scans.thinned import thinned

CONTENT_CHECKS = ("label_map", "not_hu", "no_lungs")
"""Names of the checks on voxels; each can be overridden."""

LEAST_LUNGS_PERCENT = 20.0
"""Below this share of the lungs in view a volume is refused (our limit): the lung bases of an
abdomen are some 5 to 15%, the upper third of a chest is over 30."""

WHOLE_PERCENT = 90.0
"""Below this share a note says how much is in view."""

LEAST_WIDTH_MM, LEAST_HEIGHT_MM = 100.0, 40.0
"""A field of view that is narrower holds no chest: nothing is refused then, only noted. In a slab
that is lower there may be any share of the lungs, so that none is asked for."""

_SAMPLES = 80  # along each axis


@dataclass(frozen=True)
class Content:
    """What the voxels of a volume say.

    Args:
        findings: (check, message) of the checks that failed and are not overridden.
        notes: what is no reason to refuse it, and what was overridden.
        lungs_in_view_percent: how much of both lungs lies in the volume, 0 to 100; None where that
            was not looked at, since the values are no HU or the field of view is too small.
    """

    findings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    lungs_in_view_percent: float | None = None


class NoChestError(CovidlitError):
    """An image file that the checks on voxels refuse."""

    def __init__(self, content: Content, where: object) -> None:
        self.content = content
        self.path = str(where)
        reason = "; ".join(f"{check}: {message}" for check, message in content.findings)
        checks = ", ".join(check for check, _ in content.findings)
        super().__init__(
            f"{reason}.", where=where, fix=f"or override what you accept the risk of: {checks}."
        )

    @property
    def lungs_in_view_percent(self) -> float | None:
        """As in `Content`."""
        return self.content.lungs_in_view_percent

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the content, so that worker processes can raise it."""
        return type(self), (self.content, self.path)


def look_at(
    values: NDArray[Any], spacing: Sequence[float], override: Collection[str] = ()
) -> Content:
    """Hold a volume against the checks on voxels.

    Args:
        values: (z, y, x), canonical, as they are stored in HU: not rounded, not cut off.
        spacing: in mm, (z, y, x).
        override: names of `CONTENT_CHECKS` that note what they find instead of refusing.
    """
    height, *sides = (n * step for n, step in zip(values.shape, spacing, strict=True))
    small = min(sides) < LEAST_WIDTH_MM
    doubt = doubt_about_hu(
        values[tuple(slice(None, None, -(-n // _SAMPLES)) for n in values.shape)]
    )
    if doubt is not None:
        if small:
            return Content(notes=(f"{doubt.message} (too small a field of view to be sure)",))
        return _judged(doubt.check, doubt.message, "the values were taken as HU", override)
    if small:
        return Content()
    coarse, steps = thinned(values, spacing)
    if coarse.dtype.kind == "f":
        coarse = np.nan_to_num(coarse, nan=AIR_HU)
    view = lungs_in_view(coarse, steps)
    said = view.text
    if view.percent >= LEAST_LUNGS_PERCENT:
        notes = (said,) if view.percent < WHOLE_PERCENT or len(view.sides) < 2 else ()
        return Content(notes=notes, lungs_in_view_percent=view.percent)
    if height < LEAST_HEIGHT_MM:
        note = f"{said}; the volume is {height:.0f} mm high only"
        return Content(notes=(note,), lungs_in_view_percent=view.percent)
    message = (
        f"{said}, at least {LEAST_LUNGS_PERCENT:.0f}% are asked for: a head, an abdomen or another "
        "part, a phantom, or a chest that is cut or consolidated throughout; choose the series of "
        "the whole chest"
    )
    judged = _judged("no_lungs", message, "read as it is", override)
    return Content(judged.findings, judged.notes, view.percent)


def _judged(check: str, message: str, consequence: str, override: Collection[str]) -> Content:
    if check in override:
        return Content(notes=(f"{check} overridden: {message}; {consequence}",))
    return Content(findings=((check, message),))
