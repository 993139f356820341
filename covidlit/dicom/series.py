"""What a folder of DICOM files holds: files, frames, series, and files with a problem."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from covidlit.files import printable


class FileProblem(NamedTuple):
    """A file that could not be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice: an image file, or one frame of a multi-frame file.

    Args:
        source: the file it is stored in.
        index: its number in the file, from 0.
        position: ImagePositionPatient, centre of the first voxel in LPS mm; None where unusable.
        orientation: ImageOrientationPatient, direction of the columns' index, then of the rows'.
        pixel_spacing: PixelSpacing in mm, (between rows, between columns).
        slope, intercept: to HU; None where the file has none.
        thickness: SliceThickness in mm.
        instance: InstanceNumber, for messages and ties only, never for order.
        kernel: ConvolutionKernel.
        missing: why its geometry cannot be used; empty where it can.
        acquisition: what a multi-frame file says of this frame's acquisition, as `facts` names it.
        rescale_type: RescaleType, the unit that slope and intercept lead to; empty where not given.
        other_unit: what the real world value mapping says against Hounsfield units by slope and
            intercept; empty where nothing.
        ignores_padding: whether its padding value is taken as an ordinary one.
    """

    source: ImageFile
    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    thickness: float | None
    instance: int | None
    kernel: str
    missing: str = ""
    rescale_type: str = ""
    other_unit: str = ""
    ignores_padding: bool = False
    acquisition: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """File name, with the frame's number (from 1) where there are several."""
        name = printable(self.source.path.name)
        return f"{name} frame {self.index + 1}" if self.source.n_frames > 1 else name


@dataclass(slots=True, eq=False)
class ImageFile:
    """The facts of one DICOM image file that finding, checking and reading need.

    `transfer_syntax` and `endian` are those of the encoding as it is; `declared_syntax` is what the
    file says where that is another one. `overlay_bits` are the bits of each word that overlays lie
    in.
    """

    path: Path
    size: int
    transfer_syntax: str
    sop_class: str
    sop_uid: str
    modality: str
    study_uid: str
    series_uid: str
    frame_of_reference: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    n_frames: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    padding: tuple[int, int] | None
    tilt: float | None
    spacing_between_slices: float | None
    endian: str
    pixel_offset: int
    pixel_length: int
    patient_id: str = field(default="", repr=False)
    facts: dict[str, str] = field(default_factory=dict, repr=False)
    frames: list[Frame] = field(default_factory=list, repr=False)
    damage: str = ""
    declared_syntax: str = ""
    modality_lut: bool = False
    real_world_values: bool = False
    burned_in: bool = False
    lossy: bool = False
    overlay_bits: tuple[int, ...] = ()
    code_precision: int = 0
    """Bits of a value in the compressed code, once it was decoded."""


@dataclass(frozen=True, eq=False)
class Series:
    """All image files that carry one SeriesInstanceUID, or would if it were not damaged.

    Args:
        series_uid, study_uid: as in the files.
        images: the files with their headers, sorted by path.
        suspects: files that may belong to this series but could not be counted in.
        uid_problem: why the files make one series although their UIDs do not say so; else empty.
        patient_id: the raw PatientID; kept out of every printed form.
    """

    series_uid: str
    study_uid: str
    images: tuple[ImageFile, ...] = field(repr=False)
    suspects: tuple[FileProblem, ...] = ()
    patient_id: str = field(default="", repr=False)
    uid_problem: str = ""

    @property
    def files(self) -> list[Path]:
        """The paths of its files."""
        return [image.path for image in self.images]

    @property
    def frames(self) -> list[Frame]:
        """Its slices in the order of the files, not in space."""
        return [frame for image in self.images for frame in image.frames]

    @property
    def folder(self) -> Path:
        """The deepest folder that holds all its files."""
        return Path(os.path.commonpath([path.parent for path in self.files]))


@dataclass(frozen=True)
class Found:
    """What `find_series` found under a folder.

    Args:
        series: image series, sorted by folder and UID.
        problems: files that are damaged, encrypted, empty, packed or not regular files.
        n_files: how many files were looked at.
        n_other: how many of them are not DICOM images (other formats, reports, DICOMDIR).
        notes: what is worth knowing and refuses nothing, such as what a DICOMDIR promises in vain.
        without_image: path and SOP class of the DICOM objects among the others.
    """

    series: list[Series]
    problems: list[FileProblem]
    n_files: int = 0
    n_other: int = 0
    notes: tuple[str, ...] = ()
    without_image: tuple[tuple[Path, str], ...] = ()
