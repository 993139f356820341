"""What the data of volumes say in the log before they are trained on, each thing once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytorch_lightning.utilities import rank_zero_only

from covidlit.cohort.provenance import checks_text
from covidlit.datamodules.cohort_data import Planned
from covidlit.datamodules.row_lines import lacking_lines, noted_lines, refused_line

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.cohort.flow import Flow
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.dicom import Checks

log = logging.getLogger(__name__)


class Notices:
    """Logs by the first process of a run what was not said before."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def of_plan(self, data: CohortData, manifest: str, given: Checks, checks: Checks) -> None:
        """What is known before the preparation: checks switched off earlier, lacking classes.

        Args:
            data: nothing of which is prepared.
            manifest: its name.
            given: the checks that were asked for.
            checks: those that scans are read with.
        """
        if checks != given:
            self._warn(
                f"{manifest} was made with other checks ({checks_text(checks)}): its scans are "
                "read with them here too."
            )
        planned: Any = Planned(data)
        self._warn(*_lacking(data, planned.rows_of))

    def of_rows(self, data: CohortData) -> None:
        """What was left out and what was noted; the data set up."""
        self._warn(refused_line(data.table, data.unit), *noted_lines(data.table, data.unit))
        self._warn(*_lacking(data, data.rows_of))

    def of_join(self, data: CohortData, lines: Sequence[str]) -> None:
        """What found no counterpart in a join, and classes that a part lacks; the data set up."""
        self._warn(*lines, *noted_lines(data.table, data.unit), *_lacking(data, data.rows_of))

    def of_presets(self, absent: Mapping[str, Sequence[str]]) -> None:
        """Features of presets that the data lack, by preset."""
        for preset, lacking in absent.items():
            self._warn(f"Of the features {preset} the data lack {', '.join(lacking)}.")

    def of_slices(self, table: pd.DataFrame, flow: Flow) -> None:
        """What of labelled slices was left out, by inclusion, for its size or as unreadable."""
        if len(flow.steps) > 1:
            self._warn(f"Of the labelled slices: {flow.summary()}.")
        small, crowds = int(table["n_too_small"].sum()), int(table["n_crowds"].sum())
        if small:
            self._warn(
                f"{small} pieces are smaller than data.min_area_mm2 and no objects; their pixels "
                "stay in the map of classes."
            )
        if crowds:
            self._warn(
                f"{crowds} annotations are crowds (iscrowd): no objects, but in the map of classes."
            )
        self._warn(refused_line(table, "slice"))

    @rank_zero_only
    def _warn(self, *texts: str) -> None:
        for text in texts:
            if text and text not in self._told:
                log.warning("%s", text)
            self._told.add(text)


def _lacking(data: CohortData, rows_of: Callable[[str], pd.DataFrame]) -> list[str]:
    parts = {part: rows_of(part) for part in ("validation", "test")}
    return lacking_lines(parts, data.manifest, data.split, data.unit)
