"""A PDF canvas that says what each thing on a page is, as screen readers ask, and numbers pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reportlab.pdfbase.pdfdoc import (
    PDFArray,
    PDFDictionary,
    PDFName,
    PDFObjectReference,
    PDFString,
    PDFtrue,
)
from reportlab.pdfgen.canvas import Canvas

Margins = Callable[["TaggedCanvas", int, int], None]
"""Draws the margins of a page: canvas, its number from 1, and how many there are."""


class Element:
    """A node of the structure tree.

    Args:
        role: standard structure type, such as H1, P, Figure, Table, TR, TH, TD.
        parent: None of the root.
        alt: said instead of a figure.
    """

    def __init__(self, role: str, parent: Element | None = None, alt: str = "") -> None:
        self.role, self.parent, self.alt = role, parent, alt
        self.kids: list[Element | tuple[int, int]] = []  # or (page from 0, number on it)
        if parent is not None:
            parent.kids.append(self)


class TaggedCanvas(Canvas):
    """A canvas of tagged pages; their margins are drawn when it is known how many there are.

    Args:
        margins: see `Margins`; what they draw is no part of the text.
    """

    def __init__(self, *args: Any, margins: Margins, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._margins = margins
        self._drawn: list[dict[str, Any]] = []
        self._is_open = False
        self._marked: list[list[Element]] = [[]]
        self.root = Element("Document")
        self._within = self.root

    @contextmanager
    def element(self, role: str) -> Iterator[None]:
        """What is tagged meanwhile belongs to an element of this role."""
        before, self._within = self._within, Element(role, self._within)
        yield
        self._within = before

    @contextmanager
    def tagged(self, role: str, alt: str = "") -> Iterator[None]:
        """What is drawn meanwhile is one thing of this role, unless it is part of another."""
        if self._is_open:
            yield
            return
        on_page = self._marked[-1]
        found = Element(role, self._within, alt)
        found.kids.append((len(self._marked) - 1, len(on_page)))
        with self._marked_as(f"/{role} <</MCID {len(on_page)}>> BDC"):
            yield
        on_page.append(found)

    @contextmanager
    def decoration(self) -> Iterator[None]:
        """What is drawn meanwhile says nothing, unless it is part of what does."""
        if self._is_open:
            yield
            return
        with self._marked_as("/Artifact BMC"):
            yield

    @contextmanager
    def _marked_as(self, begin: str) -> Iterator[None]:
        self._is_open = True
        self._code.append(begin)
        yield
        self._code.append("EMC")
        self._is_open = False

    def showPage(self) -> None:  # noqa: N802 (reportlab's name)
        """End a page; it is written by `save`."""
        self._drawn.append(dict(self.__dict__))
        self._marked.append([])
        self._startPage()

    def save(self) -> None:
        """Draw the margins of all pages, and write the document."""
        marked, drawn = self._marked, self._drawn
        for number, state in enumerate(drawn):
            self.__dict__.update(state)
            with self.decoration():
                self._margins(self, number + 1, len(drawn))
            super().showPage()
            page = self._doc.Pages.pages[-1]
            # reportlab leaves out what a page's own list does not name.
            page.__NoDefault__ = [*page.__NoDefault__, "StructParents", "Tabs"]
            page.StructParents, page.Tabs = number, PDFName("S")
        self._write_tree(marked)
        super().save()

    def _write_tree(self, marked: list[list[Element]]) -> None:
        doc = self._doc
        # The pages of an unfinished document are no references yet.
        pages = [doc.Reference(page) for page in doc.Pages.pages]
        references: dict[int, PDFObjectReference] = {}
        tree = PDFDictionary({"Type": PDFName("StructTreeRoot")})
        tree_reference = doc.Reference(tree)

        def written(element: Element, parent: Any) -> Any:
            made = PDFDictionary(
                {"Type": PDFName("StructElem"), "S": PDFName(element.role), "P": parent}
            )
            reference = doc.Reference(made)
            references[id(element)] = reference
            kids: list[Any] = []
            for kid in element.kids:
                if isinstance(kid, Element):
                    kids.append(written(kid, reference))
                else:
                    made["Pg"] = pages[kid[0]]
                    kids.append(kid[1])
            made["K"] = PDFArray(kids)
            if element.alt:
                made["Alt"] = PDFString(element.alt)
            if element.role == "TH":
                made["A"] = PDFDictionary({"O": PDFName("Table"), "Scope": PDFName("Column")})
            return reference

        tree["K"] = PDFArray([written(self.root, tree_reference)])
        numbers: list[Any] = []
        for number, on_page in enumerate(marked[: len(pages)]):
            numbers += [number, PDFArray([references[id(each)] for each in on_page])]
        tree["ParentTree"] = doc.Reference(PDFDictionary({"Nums": PDFArray(numbers)}))
        tree["ParentTreeNextKey"] = len(pages)
        catalog = doc.Catalog
        catalog.StructTreeRoot = tree_reference
        catalog.MarkInfo = PDFDictionary({"Marked": PDFtrue})
        catalog.ViewerPreferences = PDFDictionary({"DisplayDocTitle": PDFtrue})
