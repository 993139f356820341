"""What `covidlit convert` keeps of each series beside its NIfTI: a verdict, the way back to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic

from covidlit.errors import CovidlitError
from covidlit.files import write_text
from covidlit.names import check_name

VERDICTS = "verdicts"
"""The folder of the verdicts, beside the NIfTI files."""

Row = tuple[float, float, float, float]


class SeriesVerdict(pydantic.BaseModel):
    """One series: where it lies, whether it was accepted, and what was made of it.

    Args:
        scan_id: as in a manifest; the name of its files.
        path: of the series, relative to the folder that was converted.
        series_uid: pseudonym of its SeriesInstanceUID; empty where there is none.
        accepted: whether it was converted.
        reason: why not.
        notes: what was done to it on the way in.
        nifti: name of the file; None where it was refused.
        shape: of its array, (z, y, x) = (slice, row, column).
        affine: (4, 4), index (z, y, x, 1) to LPS millimetres (x, y, z, 1), the patient space of
            DICOM.
        pixel_hash: of its voxels.
        n_bytes: of the NIfTI file.
        made_from: hash of all that it was made from.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    scan_id: str
    path: str
    series_uid: str = ""
    accepted: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    nifti: str | None = None
    shape: tuple[int, int, int] | None = None
    affine: tuple[Row, Row, Row, Row] | None = None
    pixel_hash: str | None = None
    n_bytes: int | None = None
    made_from: str | None = None

    def write(self, folder: Path) -> Path:
        """Write it below a folder of NIfTI files, atomically."""
        return write_text(verdict_path(folder, self.scan_id), self.model_dump_json(indent=2) + "\n")


def verdict_path(folder: Path, scan_id: str) -> Path:
    """Where the verdict on a series lies.

    Raises:
        CovidlitError: `scan_id` is no name of a file (contract 12).
    """
    check_name(scan_id, "scan_id", CovidlitError)
    return folder / VERDICTS / f"{scan_id}.json"


def read_verdict(folder: Path, scan_id: str) -> SeriesVerdict | None:
    """The verdict on a series; None where there is none, or it is damaged or another's."""
    try:
        text = verdict_path(folder, scan_id).read_text(encoding="utf-8")
        found = SeriesVerdict.model_validate_json(text)
    except (OSError, ValueError, CovidlitError):
        return None
    return found if found.scan_id == scan_id else None


def series_of(image: Path) -> SeriesVerdict | None:
    """The series that an image was converted from; None for any other image."""
    scan_id = image.name.removesuffix(".nii.gz")
    if scan_id == image.name:
        return None
    found = read_verdict(image.parent, scan_id)
    return found if found is not None and found.nifti == image.name else None


def as_row(verdict: SeriesVerdict) -> dict[str, Any]:
    """Its row of `series.csv`."""
    row: dict[str, Any] = {
        "scan_id": verdict.scan_id or None,
        "path": verdict.path,
        "series_uid": verdict.series_uid or None,
        "accepted": verdict.accepted,
        "reason": verdict.reason or None,
        "notes": "; ".join(verdict.notes) or None,
        "nifti": verdict.nifti,
        "n_slices": None,
        "slice_spacing_mm": None,
        "spacing_mm": None,
        "pixel_hash": verdict.pixel_hash,
    }
    if verdict.shape is not None and verdict.affine is not None:
        steps = [sum(line[k] ** 2 for line in verdict.affine[:3]) ** 0.5 for k in range(3)]
        row |= {
            "n_slices": verdict.shape[0],
            "slice_spacing_mm": round(steps[0], 4),
            "spacing_mm": round(steps[1], 4),
        }
    return row
