"""Pictures of heat: their titles are drawn as they are."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from covidlit.explain.overlay import overlay_png
from covidlit.figure_text import plain
from covidlit.scans.scan import Scan


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "title", ["$x$, score 0.9", r"$\frac{$", r"a\b", "_a^b", "<b>", "非新冠", "long " * 60]
)
def test_a_title_is_drawn_as_it_is(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    own = Figure.suptitle

    def suptitle(self: Figure, t: str, **settings: object) -> object:
        drawn.append(t)
        return own(self, t, **settings)

    monkeypatch.setattr(Figure, "suptitle", suptitle)
    hu = np.full((4, 16, 16), -800, np.int16)
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1.0]])
    heat = np.zeros(hu.shape, np.float32)
    heat[2, 4:8, 4:8] = 1.0
    with mpl.rc_context({"text.parse_math": True}):
        png = overlay_png(Scan(hu, affine), heat, 1.0, slices=[1, 2], title=title)
    assert png.startswith(b"\x89PNG")
    (text,) = drawn
    assert text == plain(title, len(text))
    assert text == title or len(text) < len(title) or title.startswith("_")
