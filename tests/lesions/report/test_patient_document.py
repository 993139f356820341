"""The patient's report as PDF, read by pypdf: what it says, how it breaks, what readers hear."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import patient_pages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from pypdf.generic import ContentStream, DictionaryObject
from test_severity_section import severity, value

from covidlit.lesions.report import CorrectionMade
from covidlit.lesions.report.sheet import WIDTH, column_widths, use_fonts
from covidlit.scans.lesion_labels import LESION_CLASSES


def document(folder: Path, **changes: Any) -> PdfReader:
    patient_pages.write(folder, **changes)
    return PdfReader(folder / "report.pdf")


def text_of(reader: PdfReader) -> str:
    """The words of all pages in the order in which they are set; lines do not matter."""
    return " ".join(" ".join(page.extract_text().split()) for page in reader.pages)


def twelve_scans() -> pd.DataFrame:
    return pd.DataFrame(
        [
            patient_pages.factors(
                scan_id="scan-b" if k == 11 else f"scan-{k:02}",
                acquisition_date=f"2020-{k + 1:02}-09",
                total_volume_ml=10.0 + k,
                lung_volume_ml=4000.0,
                volume_change_ml=1.0 if k else None,
            )
            for k in range(12)
        ]
    )


def many_lesions(n: int) -> pd.DataFrame:
    names = [LESION_CLASSES[5], LESION_CLASSES[6], LESION_CLASSES[3]]
    return pd.DataFrame(
        {
            "lesion_id": range(1001, 1001 + n),
            "class_name": [names[k % 3] for k in range(n)],
            "volume_ml": np.linspace(90, 1, n),
            "max_diameter_3d_mm": 20.0,
            "mean_density_hu": -412.0,
            "form": np.nan,
            "tracking_uid": [f"2.25.{k + 1}" for k in range(n)],
        }
    )


def elements(reader: PdfReader) -> list[DictionaryObject]:
    """All elements of the structure tree, in reading order."""

    def below(node: DictionaryObject) -> list[DictionaryObject]:
        found = []
        for kid in node["/K"]:
            kid = kid.get_object()
            if isinstance(kid, DictionaryObject):
                found += [kid, *below(kid)]
        return found

    root = reader.trailer["/Root"]["/StructTreeRoot"]
    return below(root)


def test_it_says_what_the_page_says(tmp_path: Path) -> None:
    reader = document(tmp_path, drawn_by="maskrcnn of 2026", notes=("a <b>note</b> & more",))
    text = text_of(reader)
    html = (tmp_path / "report.html").read_text()
    page = patient_pages.Page(html).text
    factors = page[page.index("What it is") + 1 : page.index("Key slices")]
    assert len(factors) == 33
    for said in factors:
        assert " ".join(said.split()) in text
    for said in ("P-17", "scan-b", "2020-03-09", "maskrcnn of 2026", "a <b>note</b> & more"):
        assert said in text
    limits = page[page.index("What the numbers cannot say") + 1 : page.index("Notes")]
    assert len(limits) > 4
    assert all(" ".join(limit.split()) in text for limit in limits)
    assert "Severity" not in text
    assert "Corrected by people" not in text
    assert "Trend" not in text
    assert sum(len(sheet.images) for sheet in reader.pages) == html.count("<img") == 6


def test_every_page_is_a4_numbered_and_warns(tmp_path: Path) -> None:
    reader = document(tmp_path, lesions=many_lesions(119))
    n = len(reader.pages)
    assert n > 3
    for number, page in enumerate(reader.pages, 1):
        assert [round(float(side) / 72 * 25.4) for side in page.mediabox[2:]] == [210, 297]
        text = page.extract_text()
        assert f"Page {number} of {n}" in text
        assert "Not a diagnosis" in text
        assert "P-17 · written 20" in text


def test_long_tables_repeat_their_heads_and_lose_no_row(tmp_path: Path) -> None:
    reader = document(tmp_path, lesions=many_lesions(119))
    with_rows = []
    for page in reader.pages:
        text = page.extract_text()
        numbers = [int(each) for each in re.findall(r"^(1\d{3})\b", text, re.MULTILINE)]
        if numbers:
            with_rows += numbers
            assert "No." in text
    assert with_rows == list(range(1001, 1120))


def test_of_very_many_lesions_the_largest_are_listed(tmp_path: Path) -> None:
    text = text_of(document(tmp_path, lesions=many_lesions(230)))
    assert "The 200 largest of 230; lesions.parquet has all." in text
    assert " 1200 " in text
    assert " 1201 " not in text


def test_twelve_scans_stand_with_dates_changes_and_what_became_of_lesions(tmp_path: Path) -> None:
    history = twelve_scans()
    text = text_of(document(tmp_path, history=history, factors=history.iloc[-1].to_dict()))
    for row in history.to_dict("records"):
        assert f"{row['acquisition_date']} {row['scan_id']}" in text
        assert f"{row['total_volume_ml']:.2f} mL" in text
    assert "Since the scan before" in text


def test_without_a_lesion_it_says_so(tmp_path: Path) -> None:
    classes, instances = patient_pages.labels()
    classes[classes > 1] = 1
    text = text_of(
        document(
            tmp_path, classes=classes, instances=np.zeros_like(instances),
            lesions=patient_pages.lesions()[:0],
            factors=patient_pages.factors(n_lesions=0, total_volume_ml=0.0),
        )
    )  # fmt: skip
    assert "No lesion was drawn." in text
    assert "no lesion" in text
    assert "no proof that there is none" in text


def test_severity_has_its_interval_and_every_value(tmp_path: Path) -> None:
    values = [value(k, 5.0 - 0.1 * k, attention=0.02) for k in range(20)]
    values.append(value(99, 0.0, value=None, place=None))
    text = text_of(document(tmp_path, severity=severity(*values, trained_on_synthetic=True)))
    assert "0.731: probability of severe" in text
    assert "its members: 0.610 to 0.840" in text
    assert "Called severe: at or above 0.420" in text
    assert "Trained on synthetic data" in text
    assert all(f"Feature {k} " in text for k in (*range(20), 99))
    assert "Missing: Feature 99." in text
    refused = severity(score=None, reason="too few values")
    assert "No score: too few values" in text_of(document(tmp_path, severity=refused))


def test_corrections_are_said_with_who_and_when(tmp_path: Path) -> None:
    late = datetime(2026, 3, 2, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    made = [
        CorrectionMade("scan-b", late, "dr.müller", "lesion 4 removed"),
        CorrectionMade("scan-a", datetime(2026, 1, 1, tzinfo=UTC), "ann", "cut off lesion 3"),
    ]
    text = text_of(document(tmp_path, corrections=made))
    first = text.index("2026-01-01 00:00 UTC scan-a ann cut off lesion 3")
    assert first < text.index("2026-03-01 22:30 UTC scan-b dr.müller lesion 4 removed")
    html = (tmp_path / "report.html").read_text()
    assert "dr.müller" in html


def test_a_screen_reader_hears_title_language_headings_tables_and_pictures(tmp_path: Path) -> None:
    history = twelve_scans()
    reader = document(tmp_path, history=history, factors=history.iloc[-1].to_dict())
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata is not None
    assert reader.metadata.title == "Lesions on chest CT: P-17"
    found = elements(reader)
    roles = [each["/S"] for each in found]
    assert roles.count("/H1") == 1
    assert roles.count("/H2") == len([e for e in reader.outline[1] if not isinstance(e, list)])
    alts = [str(each["/Alt"]) for each in found if each["/S"] == "/Figure"]
    assert len(alts) == sum(len(page.images) for page in reader.pages)
    assert all(alts)
    for row in (each for each in found if each["/S"] == "/TR"):
        cells = {kid.get_object()["/S"] for kid in row["/K"]}
        assert cells in ({"/TH"}, {"/TD"})


def test_all_that_is_drawn_is_tagged_or_decoration(tmp_path: Path) -> None:
    reader = document(tmp_path, lesions=many_lesions(60))
    tree = reader.trailer["/Root"]["/StructTreeRoot"]
    numbers = tree["/ParentTree"]["/Nums"]
    parents = dict(zip(numbers[::2], numbers[1::2], strict=True))
    for page in reader.pages:
        own = parents[page["/StructParents"]].get_object()
        depth, seen = 0, []
        for operands, operator in ContentStream(page.get_contents(), reader).operations:
            if operator == b"BDC":
                seen.append(operands[1]["/MCID"])
            depth += {b"BDC": 1, b"BMC": 1, b"EMC": -1}.get(operator, 0)
            assert depth in (0, 1)
            if operator in (b"Tj", b"TJ", b"Do", b"S", b"f"):
                assert depth == 1, operator
        assert depth == 0
        assert seen == list(range(len(own)))
        for number, element in enumerate(own):
            assert number in element.get_object()["/K"]


def test_its_text_can_be_searched_whatever_its_signs(tmp_path: Path) -> None:
    said = "cm² 10⁹ ≥ µ Müller – \u2003 tab\there \x07"
    assert "cm² 10⁹ ≥ µ Müller – tab here" in text_of(document(tmp_path, notes=(said,)))


@given(
    st.integers(1, 11).flatmap(
        lambda n: st.lists(st.lists(st.text(max_size=60), min_size=n, max_size=n), min_size=1)
    )
)
def test_columns_fit_the_page(cells: list[list[str]]) -> None:
    use_fonts()
    widths = column_widths(cells, 7)
    assert len(widths) == len(cells[0])
    assert sum(widths) <= WIDTH * (1 + 1e-9)
    assert min(widths) > 0


@pytest.mark.parametrize("name", ["Lungenentzündungsverlaufskontrolluntersuchung" * 4, "x" * 400])
def test_words_longer_than_a_column_stay_on_the_page(tmp_path: Path, name: str) -> None:
    reader = document(tmp_path, factors=patient_pages.factors(scan_id=name), notes=(name,))
    letters = "".join(page.extract_text() for page in reader.pages)
    assert name in "".join(letters.split())
    left = min(float(page.mediabox[2]) - WIDTH for page in reader.pages) / 2
    for page in reader.pages:
        starts: list[float] = []

        def place(text: str, cm: Any, tm: Any, font: Any, size: Any, at: Any = starts) -> None:
            if text.strip():
                at.append(cm[4] + tm[4])

        page.extract_text(visitor_text=place)
        assert min(starts) >= left - 1
        assert max(starts) <= left + WIDTH
