"""`paper.html`, `paper.json` and the tables as CSV."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from covidlit.errors import CovidlitError
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.report import page_template
from covidlit.files import check_own_json, check_own_page, write_json, write_text
from covidlit.papers.csacnet import figures
from covidlit.papers.csacnet.csv_tables import TABLES, csv_tables
from covidlit.papers.csacnet.results import Paper
from covidlit.papers.csacnet.wording import verdict
from covidlit.tables import check_own_table, write_table

Image = tuple[str, bytes]
"""A caption and a PNG file's bytes."""

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Galleries:
    """The pictures of Figures 3 and 4: slices with their heatmaps, each with its caption.

    Attributes:
        typical: of the scans that `Paper.cases` calls typical.
        misdiagnosed: of those that it calls misdiagnosed.
        note: how the heatmaps were made, and their scale.
    """

    typical: Sequence[Image] = ()
    misdiagnosed: Sequence[Image] = ()
    note: str | None = None


def check_own_paper(out_dir: str | Path) -> None:
    """Make sure that `write_paper` writes over nothing but an earlier page and its tables.

    Raises:
        CovidlitError: another file lies there, or the folder cannot be written.
    """
    folder, command = Path(out_dir), "covidlit paper"
    check_own_page(
        folder / "paper.html", command, older="<footer>Made by covidlit from predictions tables"
    )
    check_own_json(folder / "paper.json", ("format", "figure2_left", "command"), command)
    for name, columns in TABLES.items():
        check_own_table(folder / f"{name}.csv", columns, command)


def write_paper(
    paper: Paper,
    out_dir: str | Path,
    *,
    galleries: Galleries | None = None,
    command: str | None = None,
) -> Path:
    """Write the page, its numbers and its tables into `out_dir`, atomically; returns the page.

    Args:
        paper: the results.
        out_dir: folder, made if needed.
        galleries: heatmaps for Figures 3 and 4; without them the chosen scans are listed.
        command: the command line, for the record.

    Raises:
        CovidlitError: the folder cannot be written, or a picture is no PNG.
    """
    folder = Path(out_dir)
    page = render_paper(paper, galleries=galleries, command=command)
    write_json(folder / "paper.json", paper.to_dict() | {"command": command})
    for name, table in csv_tables(paper.to_dict()).items():
        write_table(table, folder / f"{name}.csv")
    return write_text(folder / "paper.html", page)


def render_paper(
    paper: Paper, *, galleries: Galleries | None = None, command: str | None = None
) -> str:
    """The page as HTML text; everything it needs is inside."""
    galleries = galleries or Galleries()
    results = paper.to_dict()
    confidence, synthetic = results["settings"]["confidence"], bool(results["synthetic"])
    left, right, table3 = (results[key] for key in ("figure2_left", "figure2_right", "table3"))
    name = results["methods"][0]["name"]
    drawn = {
        "contrasts": figures.contrast_figure(left, confidence, synthetic),
        "initial": figures.initial_result_figure(right, synthetic),
        "readers": figures.reader_figure(left[0], table3["readers"], name, confidence, synthetic),
    }
    return page_template("paper.html.j2", "covidlit.papers.csacnet").render(
        results=results,
        published=results["published"],
        figures=drawn,
        n_drawn=figures.MAX_METHODS,
        synthetic=synthetic,
        level=format_level(confidence),
        typical=[_embedded(image) for image in galleries.typical],
        misdiagnosed=[_embedded(image) for image in galleries.misdiagnosed],
        gallery_note=galleries.note,
        command=command,
        verdict=partial(verdict, confidence=confidence),
    )


def _embedded(image: Image) -> dict[str, str]:
    caption, png = image
    if not png.startswith(_PNG):
        raise CovidlitError(
            "a picture of the gallery is no PNG.",
            where=caption,
            fix="give the bytes of a PNG file.",
        )
    return {"caption": caption, "data": base64.b64encode(png).decode("ascii")}
