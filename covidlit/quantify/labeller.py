"""What labels the lesions of a scan: a network, or masks that others have drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.out import Algorithm
from covidlit.scans.lesion_labels import LesionLabels
from covidlit.scans.scan import Scan


class Labeller(Protocol):
    """Labels the lesions and the lungs of scans.

    One call may have scans that a network labels and scans that a person has corrected, so who has
    drawn is asked for each.
    """

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        """What the DICOM objects and the page of this scan name as the one that drew its labels."""

    def engine_of(self, source: ScanSource) -> str:
        """What computes the labels of this scan, such as "torch"; stands in its record."""

    def settings(self) -> Mapping[str, Any]:
        """What labels depend on beside the scan, as plain values: another value, other labels."""

    def look_at(self, sources: Sequence[ScanSource]) -> None:
        """All scans of a call, before the first is labelled."""

    def made_from(self, source: ScanSource) -> Any:
        """What the labels of this scan depend on beside `settings`, as plain values."""

    def label(self, source: ScanSource, name: str, scan: Scan) -> LesionLabels:
        """The labels of a scan, in its geometry.

        Args:
            source: that it was read from.
            name: what its files are called.
            scan: as it was read.

        Raises:
            LabelError: there are none, or they do not fit the scan.
        """
