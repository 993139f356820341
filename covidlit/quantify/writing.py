"""What `covidlit quantify` writes of a scan beside its labels and factors."""

from __future__ import annotations

from dataclasses import dataclass

from covidlit.errors import ConfigError

BINARY, LABELMAP = "binary", "labelmap"


@dataclass(frozen=True)
class Writing:
    """What is written.

    Args:
        dicom: DICOM objects of scans that are DICOM series.
        segmentation: of the classes in DICOM: "binary", which old archives show too, or "labelmap",
            a fraction of its size. Lesions are label maps always.
        absent_as_empty: take a birth date and the like that DICOM headers lack for unknown.
        report: a page and a PDF per patient.
        spread: the factors under other published definitions, beside ours.

    Raises:
        ConfigError: no such kind of segmentation.
    """

    dicom: bool = True
    segmentation: str = BINARY
    absent_as_empty: bool = False
    report: bool = True
    spread: bool = False

    def __post_init__(self) -> None:
        if self.segmentation not in (BINARY, LABELMAP):
            raise ConfigError(
                f"got {self.segmentation!r}.",
                where="--segmentation",
                fix=f"give {BINARY} or {LABELMAP}.",
            )
