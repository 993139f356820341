"""One self-contained page of montages: what lies in a folder, or what a network sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from covidlit.evaluation.report import page_template
from covidlit.montage.picture import BAR_MM, LUNG_WINDOW
from covidlit.version import __version__


@dataclass(frozen=True)
class Look:
    """One scan on the page; nothing in it may identify a patient.

    Args:
        name: scan_id, or another pseudonym.
        group: heading that it stands under.
        accepted: whether it can be used.
        picture: JPEG of `covidlit.montage.picture.montage_jpeg`; None where there is none.
        reason: why it is refused.
        facts: what it is, a line each.
        notes: what was found or done on the way in.
    """

    name: str
    group: str
    accepted: bool
    picture: bytes | None = None
    reason: str = ""
    facts: Sequence[str] = ()
    notes: Sequence[str] = ()


def montage_page(
    looks: Iterable[Look],
    *,
    title: str,
    about: str,
    generator: str,
    window: tuple[float, float] = LUNG_WINDOW,
    others: Iterable[str] = (),
    synthetic: bool = False,
) -> str:
    """The page as HTML text; everything it needs is inside.

    Args:
        looks: in order, those of a group together.
        title, about: heading, and what is shown in a sentence or two.
        generator: the command, by which it knows its own pages again.
        window: HU that are black and white in the pictures.
        others: what is wrong with each file that belongs to no scan; without names.
        synthetic: whether the images are synthetic.
    """
    low, high = window
    lung = "in the lung window (level -600, width 1500 HU)"
    shown = lung if window == LUNG_WINDOW else f"black at {low:g} HU and below, white at {high:g}"
    return page_template("montage.html.j2", "covidlit.montage").render(
        groups=[(name, list(some)) for name, some in groupby(looks, lambda look: look.group)],
        title=title, about=about, generator=generator, version=__version__, window=shown,
        bar=f"{BAR_MM / 10:g} cm long", others=sorted(Counter(others).items()),
        synthetic=synthetic,
    )  # fmt: skip
