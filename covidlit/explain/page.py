"""`explain.html`: the gallery of heatmaps and the checks of them, as one self-contained page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import resources
from itertools import groupby
from typing import Any

import jinja2

from covidlit.explain.gallery import Picture


def render_page(
    *,
    title: str,
    pictures: Sequence[Picture],
    colours: str,
    facts: dict[str, str],
    checks: dict[str, Any] | None,
    refused: Sequence[dict[str, Any]] = (),
    synthetic: bool = False,
) -> str:
    """The page as HTML text; everything it needs is inside.

    Args:
        title: heading.
        pictures: in order, those of a group together.
        colours: what the colours mean.
        facts: what it was made with, by name.
        checks: of `evaluate_heatmaps`, or None where nothing is known to check against.
        refused: `scan` and `reason` of those without a heatmap.
        synthetic: whether scans or network are synthetic.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["b64"] = lambda content: base64.b64encode(content).decode()
    source = resources.files("covidlit.explain").joinpath("page.html.j2")
    groups = [(name, list(some)) for name, some in groupby(pictures, lambda p: p.group)]
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        title=title, groups=groups, colours=colours, facts=facts, checks=checks, refused=refused,
        synthetic=synthetic,
    )  # fmt: skip
