"""The picture of a slice of a stored scan, with the outlines of its newest labelling."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from covidlit.platform.measuring.bring import PLANES
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.drawing import draw
from covidlit.platform.viewing.planes import Planes

KEPT = "private, max-age=60"
"""Cache-Control: the browser keeps a picture for a while, and nobody between keeps it at all."""


def picture_of(scan: Scan, index: int, window: str, labels: bool, lesion: int | None) -> bytes:
    """A PNG of a slice; see `draw`.

    Args:
        scan: that is stored.
        index: of the slice, from the feet.
        window: in `WINDOWS`.
        labels: whether the outlines are drawn.
        lesion: whose outline is highlighted.
    """
    volume = Planes(settings.FOLDER.scans / scan.folder / "planes.zip")
    both: Any = (None, None)
    labelling = scan.labellings.first() if labels else None
    if labelling is not None:
        both = Planes(settings.FOLDER.results / labelling.folder / PLANES).plane(index)
    return draw(volume.plane(index), volume.spacing, window, both[0], both[1], lesion)
