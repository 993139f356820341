"""Pictures of heat: what their titles say, and that they are drawn as they are."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from covidlit.explain.heat_files import picture_title
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


@pytest.mark.parametrize("slices", [[1], [2, 0, 1]])
def test_a_picture_says_its_sides_its_order_and_what_it_is_for(
    slices: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    own = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda f, *a, **k: (figures.append(f), own(f, *a, **k)))
    hu = np.full((4, 16, 16), -800, np.int16)
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1.0]])
    heat = np.zeros(hu.shape, np.float32)
    overlay_png(Scan(hu, affine), heat, 1.0, slices=slices, title="one\ncalled positive")
    (figure,) = figures
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 2 * len(slices)
    for axes in panels:
        sides = sorted(axes.texts, key=lambda text: text.get_position()[0])
        assert [text.get_text() for text in sides] == ["R", "L"]
    assert figure.get_suptitle() == "one\ncalled positive"
    assert figure.get_supxlabel().endswith("For research use only.")
    assert ("first" in figure.get_supxlabel()) == (len(slices) > 1)
    places = [axes.get_position() for axes in panels]
    middle = (min(place.x0 for place in places) + max(place.x1 for place in places)) / 2
    assert figure._suptitle.get_position()[0] == pytest.approx(middle, abs=0.02)  # type: ignore[attr-defined]


def test_a_title_never_calls_negative_what_looks_positive() -> None:
    assert picture_title("scan", 0.49996, 0.5) == (
        "scan, score 0.49996\ncalled negative, threshold 0.50000"
    )
    assert picture_title("scan", 0.5, 0.5).endswith("called positive, threshold 0.500")
    assert picture_title("scan", 0.25, None) == "scan, score 0.250"
