"""Lesions corrected: a draft of edits, which becomes a labelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from covidlit.platform.client.jobs import ENDED, until
from covidlit.platform.client.row import Row

Kind = Literal["new", "replace", "add", "cut", "clear", "remove", "reclassify"]


@dataclass(frozen=True, kw_only=True)
class Correction(Row):
    """A saved correction of a scan that is being measured, as it was when asked for.

    Args:
        scan: number of it.
        disease: whose lesions were corrected.
        version: of its newest labelling; None: it has none.
        by: account of who saved the correction; None: none waits.
        state: of its job; None: none waits, it is a version.
        progress: what the job is at.
        message: why it failed.
    """

    scan: int
    disease: str
    version: int | None
    by: str | None
    state: str | None
    progress: str
    message: str

    def now(self) -> Correction:
        """It as it is now."""
        answer = self.connection.get(f"/scans/{self.scan}/correction", disease=self.disease)
        return Correction.of(self.connection, answer)

    def wait(self, longest: float | None = None) -> Correction:
        """Wait until it is a version; see `Job.wait`."""
        return until(
            self, Correction.now, lambda own: own.state is None, longest,
            lambda own: f"it {own.state}: {own.message}" if own.state in ENDED else "",
            f"correction of scan {self.scan}", "have it measured again on the scan's page.",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Draft(Row):
    """One's draft of a scan, as it was when asked for.

    Args:
        id: number of it.
        scan: number of the scan.
        disease: whose lesions are corrected.
        corrects: number of the labelling that it begins with.
        version: of it.
        is_old: the scan has a newer one.
        edits: in their order: `number`, `kind`, `lesion`, `slice_index`, `class_name`, `in_words`,
            `left_out` (why it is not applied on a newer version).
    """

    id: int
    scan: int
    disease: str
    corrects: int
    version: int
    is_old: bool
    edits: list[dict[str, Any]]

    def edit(
        self,
        kind: Kind,
        lesion: int | None = None,
        slice_index: int | None = None,
        contour: Sequence[tuple[float, float]] = (),
        class_name: str | None = None,
        leaves: Literal["lung", "background"] | None = None,
    ) -> dict[str, Any]:
        """Add an edit of one lesion.

        Args:
            kind: "new", "replace", "add" and "cut" take a contour on a slice, "clear" a slice
                alone, "remove" and "reclassify" none.
            lesion: number of it; None: a new one.
            slice_index: from 0 at the feet.
            contour: (x, y) in pixels of the slice, from the upper left corner of the first, whose
                centre is at (0.5, 0.5).
            class_name: of a new lesion, or the one that it gets, such as "ground_glass".
            leaves: what pixels become that are the lesion's no more; None: lung, or background
                where it was an effusion.

        Returns:
            `edit`, and its `effect` in pixels where it is of one slice.

        Raises:
            PlatformError: the edit cannot be, or changes nothing.
        """
        body = {
            "kind": kind, "lesion": lesion, "slice_index": slice_index, "class_name": class_name,
            "contour": [list(point) for point in contour], "leaves": leaves,
        }  # fmt: skip
        found: dict[str, Any] = self._post("/edits", body, again=False)
        return found

    def undo(self) -> Draft:
        """Take the last edit back."""
        answer = self._post("/undo", again=False)
        return Draft.of(self.connection, answer)

    def renew(self) -> Draft:
        """Apply the edits on the newest version, where they still apply."""
        return Draft.of(self.connection, self._post("/renew"))

    def drop(self) -> None:
        """Give it up."""
        self._post("/drop", again=False)

    def save(self) -> Correction:
        """Have it measured, which makes it the next version.

        Raises:
            PlatformError: another version came first (status 409): renew it, then save again.
        """
        answer = self._post("/save", again=False)
        return Correction.of(self.connection, answer)

    def _post(self, what: str, body: Any = None, again: bool = True) -> Any:
        path = f"/scans/{self.scan}/draft{what}"
        return self.connection.post(path, body, again, disease=self.disease)
