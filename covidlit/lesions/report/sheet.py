"""What a document is set with: fonts, texts, pictures, and tables that break over pages."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Flowable, LongTable, Paragraph, Table, TableStyle

WIDTH = 178 * mm
"""Of what is set on A4, in points."""

FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
INK, SOFT, LINE, WARNING = "#1f2937", "#4b5563", "#d1d5db", "#fef3c7"
_PADDING = 2.5
_LEAST, _MOST = 18.0, 0.45
"""Of a column: points, and share of the width that its longest word alone may claim."""


def style(role: str, size: float, **more: Any) -> ParagraphStyle:
    """A style of texts of a role; see `tagged_canvas.Element`."""
    settings = {"fontName": FONT, "textColor": HexColor(INK), "leading": 1.35 * size, **more}
    return ParagraphStyle(role, fontSize=size, splitLongWords=1, **settings)


TITLE = style("H1", 16, fontName=BOLD, spaceAfter=4)
HEADING = style("H2", 11.5, fontName=BOLD, spaceBefore=12, spaceAfter=4)
SUBHEADING = style("H3", 9.5, fontName=BOLD, spaceBefore=8, spaceAfter=3)
BODY = style("P", 9, spaceAfter=3)
SMALL = style("P", 7.5, textColor=HexColor(SOFT), spaceAfter=3)
CAUTION = style("P", 9, backColor=HexColor(WARNING), borderPadding=4, spaceBefore=4, spaceAfter=9)
POINT = style("P", 8.5, leftIndent=10, bulletIndent=1, spaceAfter=2)


def use_fonts() -> None:
    """Have the fonts that matplotlib brings: they are embedded, and have the signs of units."""
    if FONT not in pdfmetrics.getRegisteredFontNames():
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for name in (BOLD, FONT):
            pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))


def clean(text: object) -> str:
    """A text on one line, without signs that cannot be printed."""
    printable = (char if char.isprintable() else " " for char in str(text))
    return " ".join("".join(printable).split())


class Text(Paragraph):
    """A paragraph; its text is text, whatever signs it has.

    Args:
        text: of the paragraph.
        style: whose name is its role.
        bullet: drawn before it.
    """

    def __init__(
        self, text: object, style: ParagraphStyle, bullet: str | None = None, **split: Any
    ) -> None:
        # reportlab gives the parts of a paragraph that is split over pages, and no text.
        given = split or {"bulletText": bullet}
        super().__init__(None if text is None else escape(clean(text)), style, **given)

    def draw(self) -> None:
        """Draw it, as what it is; headings stand in the list of contents that viewers show."""
        role = self.style.name
        if role in ("H1", "H2"):
            key = f"{role}-{id(self)}"
            self.canv.bookmarkHorizontal(key, 0, self.height)
            self.canv.addOutlineEntry(self.getPlainText(), key, 0 if role == "H1" else 1)
        with self.canv.tagged(role):
            super().draw()


class Picture(Flowable):
    """A picture with what is said instead of it.

    Args:
        uri: PNG as data URI.
        alt: said.
        width: points.
        most: height at most, points.
    """

    def __init__(self, uri: str, alt: str, width: float, most: float = 230 * mm) -> None:
        super().__init__()
        self._image = ImageReader(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        across, down = self._image.getSize()
        scale = min(width / across, most / down)
        self.alt, self.width, self.height = clean(alt), across * scale, down * scale

    def wrap(self, *available: float) -> tuple[float, float]:
        """Its size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw it."""
        with self.canv.tagged("Figure", self.alt):
            self.canv.drawImage(self._image, 0, 0, self.width, self.height)


class DataTable(LongTable):
    """A table of data: rows and cells are tagged, the head stands on each page anew."""

    def draw(self) -> None:
        """Draw it."""
        with self.canv.element("Table"):
            super().draw()

    def _drawCell(self, value: Any, cell_style: Any, pos: Any, size: Any) -> None:  # noqa: N802
        row = self._rowpositions[1:].index(pos[1])
        if pos[0] == self._colpositions[0]:
            self._row = self.canv.element("TR")
            self._row.__enter__()
        with self.canv.tagged("TH" if row < self.repeatRows else "TD"):
            super()._drawCell(value, cell_style, pos, size)
        if pos[0] == self._colpositions[len(self._colWidths) - 1]:
            self._row.__exit__(None, None, None)

    def _drawBkgrnd(self) -> None:  # noqa: N802
        with self.canv.decoration():
            super()._drawBkgrnd()

    def _drawLines(self) -> None:  # noqa: N802
        with self.canv.decoration():
            super()._drawLines()


def heading(text: str, style: ParagraphStyle = HEADING) -> list[Flowable]:
    """A heading that does not stand alone at the end of a page."""
    return [CondPageBreak(28 * mm), Text(text, style)]


def data_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1, size: float = 8
) -> DataTable:
    """A table as wide as the page; no row is cut by its end.

    Args:
        heads: of the columns.
        rows: cells.
        numbers_from: the first column that is set to the right.
        size: of the letters, points.
    """
    left, right = style("P", size), style("P", size, alignment=2)
    bold = [style("P", size, fontName=BOLD, alignment=align) for align in (0, 2)]
    widths = column_widths([list(heads), *map(list, rows)], size)
    cells = [[Text(head, bold[k >= numbers_from]) for k, head in enumerate(heads)]]
    cells += [
        [Text(cell, right if k >= numbers_from else left) for k, cell in enumerate(row)]
        for row in rows
    ]
    return DataTable(
        cells, widths, repeatRows=1, hAlign="LEFT", spaceBefore=2, spaceAfter=6,
        style=TableStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, HexColor(SOFT)),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor(LINE)),
            ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
            ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]),
    )  # fmt: skip


def column_widths(cells: Sequence[Sequence[str]], size: float) -> list[float]:
    """Widths in points that have each word on one line where they can, and no more than is wanted.

    Args:
        cells: of all rows, texts.
        size: of the letters, points.
    """

    def length(text: str) -> float:
        return float(pdfmetrics.stringWidth(text, BOLD, size)) + 2 * _PADDING + 1

    columns = list(zip(*cells, strict=True))
    least = [
        max(_LEAST, min(_MOST * WIDTH, max(length(w) for t in column for w in (t.split() or [""]))))
        for column in columns
    ]
    wanted = [
        max(need, *(length(text) for text in column))
        for need, column in zip(least, columns, strict=True)
    ]
    if sum(wanted) <= WIDTH:
        return wanted
    if sum(least) >= WIDTH:
        return [width * WIDTH / sum(least) for width in least]
    share = (WIDTH - sum(least)) / (sum(wanted) - sum(least))
    return [a + share * (b - a) for a, b in zip(least, wanted, strict=True)]


def side_by_side(flowables: Sequence[Sequence[Flowable]], across: int) -> Table:
    """Groups of flowables in rows of so many; a row stays on one page."""
    rows = [list(flowables[k : k + across]) for k in range(0, len(flowables), across)]
    rows[-1] += [[]] * (across - len(rows[-1]))
    return Table(
        rows, [WIDTH / across] * across, hAlign="LEFT", spaceAfter=4,
        style=TableStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
        ]),
    )  # fmt: skip


def colour(rgb: tuple[int, int, int]) -> Color:
    """A colour of 0 to 255."""
    return Color(*(part / 255 for part in rgb))
