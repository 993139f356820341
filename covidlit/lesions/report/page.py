"""One self-contained HTML file per patient: nothing in it needs a network or a server."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from covidlit.files import write_text
from covidlit.lesions.report.content import CORRECTION_HEADS, Content
from covidlit.lesions.report.regions import REGION_HEADS
from covidlit.lesions.report.scene import scene_json
from covidlit.version import __version__

OPEN_ROWS = 15
"""Lesions that are listed at once; the others are folded away below them."""


def write_page(content: Content, data: dict[str, Any], path: Path) -> Path:
    """Write the page; returns its path.

    Args:
        content: what it says.
        data: of `scene`.
        path: the file to write.
    """
    html = _template().render(
        **vars(content),
        region_heads=REGION_HEADS,
        correction_heads=CORRECTION_HEADS,
        open_rows=OPEN_ROWS,
        # What follows is script and data, and no text of the user's that could be mistaken for it.
        scene=Markup(scene_json(data)),
        has_scene=bool(data["surfaces"]),
        plotly=Markup(get_plotlyjs()),
        view=Markup(_read("view.js")),
        style=Markup(_read("patient.css")),
        version=__version__,
    )
    return write_text(path, html)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("patient.html.j2"))


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
