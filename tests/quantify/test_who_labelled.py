"""One call with scans of several makers: objects, tables and pages name each scan's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.out import Algorithm
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.synthetic import CohortPaths

pytestmark = pytest.mark.slow


class SomeByHand(MaskLabeller):
    """Masks, of which those of some scans were drawn by hand, at a time.

    Args:
        by_hand: scan -> when.
    """

    by_hand: Mapping[str, str]

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        if source.scan_id in self.by_hand:
            return Algorithm("a hand", how="MANUAL")
        return super().algorithm_of(source)

    def engine_of(self, source: ScanSource) -> str:
        return "a hand" if source.scan_id in self.by_hand else super().engine_of(source)

    def made_from(self, source: ScanSource) -> Any:
        return [super().made_from(source), self.by_hand.get(source.scan_id)]


def labeller(masks: Path, **by_hand: str) -> SomeByHand:
    found = SomeByHand(masks)
    object.__setattr__(found, "by_hand", by_hand)
    return found


def how(folder: Path) -> str:
    segments = pydicom.dcmread(folder / "classes.dcm").SegmentSequence
    (found,) = {segment.SegmentAlgorithmType for segment in segments}
    return str(found)


def test_each_scan_names_its_own_maker_and_is_alone_made_anew(
    repeated: CohortPaths, masks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = quantify(repeated.dicom, labeller(masks), out)
    counts = first.factors["patient_id"].value_counts()
    pair = first.factors[first.factors["patient_id"] == counts.idxmax()]
    earlier, later = pair.sort_values("acquisition_date")["scan_id"]
    (other,) = set(first.factors["scan_id"]) - {earlier, later}

    second = quantify(repeated.dicom, labeller(masks, **{later: "1"}), out)
    assert second.n_known == 2
    labelled_by = second.scans.set_index("scan_id")["labelled_by"].to_dict()
    assert labelled_by == {earlier: "masks", later: "a hand", other: "masks"}
    found = {scan: how(out / "dicom" / scan) for scan in (earlier, later, other)}
    assert found == {earlier: "SEMIAUTOMATIC", later: "MANUAL", other: "SEMIAUTOMATIC"}
    pages = {path.stem: path.read_text() for path in (out / "reports").glob("*.html")}
    assert sum(bool(re.search("a hand", page)) for page in pages.values()) == 1

    # Of an earlier scan the later ones follow, since their changes are those since it.
    third = quantify(repeated.dicom, labeller(masks, **{later: "1", earlier: "1"}), out)
    assert third.n_known == 1
    assert how(out / "dicom" / earlier) == "MANUAL"
