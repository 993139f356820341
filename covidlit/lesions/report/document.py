"""The patient's report as PDF: A4, with the text as text, tags for screen readers, page numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate

from covidlit.files import write_bytes
from covidlit.lesions.report.content import CORRECTION_HEADS, Content
from covidlit.lesions.report.document_severity import severity_parts
from covidlit.lesions.report.regions import REGION_HEADS
from covidlit.lesions.report.sheet import (
    BODY,
    CAUTION,
    FONT,
    HEADING,
    POINT,
    SMALL,
    SOFT,
    SUBHEADING,
    TITLE,
    WIDTH,
    Picture,
    Text,
    clean,
    colour,
    data_table,
    heading,
    side_by_side,
    style,
    use_fonts,
)
from covidlit.lesions.report.tagged_canvas import TaggedCanvas
from covidlit.lesions.report.trend import Trend
from covidlit.version import __version__

REPORT_TITLE = "Lesions on chest CT"
WARNED = "Computed from the images, without a physician's review. Not a diagnosis."
MOST_LESIONS = 200
"""Lesions that are listed; the tables beside the report hold all."""


def write_document(content: Content, path: Path) -> Path:
    """Write the report; returns its path.

    Args:
        content: what it says.
        path: the file to write.
    """
    use_fonts()
    patient = clean(dict(content.facts).get("Patient", ""))
    buffer = io.BytesIO()
    margin = (A4[0] - WIDTH) / 2
    document = BaseDocTemplate(
        buffer, pagesize=A4, leftMargin=margin, rightMargin=margin, topMargin=16 * mm,
        bottomMargin=20 * mm, title=f"{REPORT_TITLE}: {patient}", author="covidlit",
        subject=WARNED, creator=f"covidlit {__version__}", lang="en",
    )  # fmt: skip
    frame = Frame(
        margin, document.bottomMargin, WIDTH, document.height,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    document.addPageTemplates(PageTemplate(frames=[frame]))
    said = f"{patient} · written {content.written} · covidlit {__version__}"
    document.build(
        list(_parts(content)), canvasmaker=partial(TaggedCanvas, margins=partial(_margins, said))
    )
    return write_bytes(path, buffer.getvalue())


def _margins(said: str, canvas: TaggedCanvas, number: int, of: int) -> None:
    canvas.setFont(FONT, 7)
    canvas.setFillColor(HexColor(SOFT))
    left, right = (A4[0] - WIDTH) / 2, (A4[0] + WIDTH) / 2
    canvas.drawString(left, 12 * mm, WARNED)
    canvas.drawString(left, 8.5 * mm, said)
    canvas.drawRightString(right, 8.5 * mm, f"Page {number} of {of}")


def _parts(content: Content) -> Iterator[Flowable]:
    yield Text(REPORT_TITLE, TITLE)
    yield Text(WARNED, CAUTION)
    yield data_table(["Report", "Of"], [*content.facts, ("Written", content.written)], 9)
    yield from heading("Factors")
    yield data_table(
        ["Factor", "Value", "What it is"],
        [[cell.label, cell.value, cell.meaning] for cell in content.factors], 9,
    )  # fmt: skip
    if content.regions:
        yield from heading("Where they lie")
        yield data_table(REGION_HEADS, content.regions)
    if content.severity is not None:
        yield from severity_parts(content.severity)
    yield from _slices(content)
    yield from _lesions(content)
    if content.trend is not None:
        yield from _trend(content.trend)
    if content.corrections:
        yield from heading("Corrected by people")
        yield data_table(CORRECTION_HEADS, content.corrections, 9)
    if content.spread:
        yield from heading("Under other definitions")
        yield Text(
            "Published definitions differ. What the figures above would be under others; the "
            "definition that the tables have is called ours.", SMALL,
        )  # fmt: skip
        yield data_table(["Factor", "Definition", "Value"], content.spread, 2)
    yield from heading("What the numbers cannot say")
    yield from (Text(limit, POINT, "•") for limit in content.limits)
    if content.notes:
        yield from heading("Notes")
        yield from (Text(note, POINT, "•") for note in content.notes)


def _slices(content: Content) -> Iterator[Flowable]:
    across = 3
    width = WIDTH / across - 5
    pictures = [
        [Picture(uri, caption, width), Text(caption, SMALL)] for caption, uri in content.slices
    ]
    keys = [
        [Text(f"■ {label}", style("P", 7.5, textColor=colour(rgb), backColor=HexColor("#1f2937")))]
        for label, rgb, there in content.classes
        if there
    ]
    first = [Text("Key slices", HEADING)]
    if keys:
        first.append(side_by_side(keys, len(content.classes)))
    yield KeepTogether([*first, side_by_side(pictures[:across], across)])
    if pictures[across:]:
        yield side_by_side(pictures[across:], across)
    yield Text(
        "Seen from the feet: the patient's right is on the left. Lung window, level -600, width "
        "1500 HU.", SMALL,
    )  # fmt: skip
    explained = "the darker, the more lung lies behind; the nearest lesion in its colour"
    views = [
        [Picture(uri, caption, width, 62 * mm), Text(f"{caption}: {explained}", SMALL)]
        for caption, uri in content.views
    ]
    yield KeepTogether([Text("From the sides", SUBHEADING), side_by_side(views, across)])


def _lesions(content: Content) -> Iterator[Flowable]:
    yield from heading("Lesions")
    if not content.lesions:
        yield Text("No lesion was drawn.", BODY)
        return
    if len(content.lesions) > MOST_LESIONS:
        yield Text(
            f"The {MOST_LESIONS} largest of {len(content.lesions)}; lesions.parquet has all.", BODY
        )
    yield data_table(content.heads, content.lesions[:MOST_LESIONS], 2, size=6.5)


def _trend(trend: Trend) -> Iterator[Flowable]:
    first: list[Flowable] = [Text("Trend", HEADING)]
    if trend.figure:
        first.append(Picture(trend.figure, "Factors over time; the table has the values", WIDTH))
    yield KeepTogether(first)
    yield data_table(trend.heads, trend.rows, 9, size=7)
    if trend.remark:
        yield Text(trend.remark, SMALL)
    if trend.verdict:
        yield from heading("Since the scan before", SUBHEADING)
        yield Text(trend.verdict, BODY)
        if trend.changes:
            yield data_table(trend.change_heads, trend.changes, 3, size=7)
            yield Text(trend.change_remark, SMALL)
