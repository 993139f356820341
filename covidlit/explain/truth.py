"""What `--truth` may be: lesion labels of contract 7, or masks of 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.scan_sources import ScanSource
from covidlit.counted import counted
from covidlit.errors import ConfigError, CovidlitError
from covidlit.lesions import FIRST_LESION, LabelError, LesionLabels, read_labels
from covidlit.preprocess.features.lung_region import lung_region
from covidlit.scans.images import image_stem, read_volume
from covidlit.scans.lesion_labels import check_place
from covidlit.scans.scan import Scan
from covidlit.scans.thinned import thinned

EXPECTED = (
    "for each scan either a binary mask of its lesions (0 and 1), <scan_id>.nii.gz or "
    "<scan_id>.mask.nii.gz, or <scan_id>.classes.nii.gz (0 background, 1 lung, 2 to 6 lesions) "
    "with <scan_id>.instances.nii.gz beside it, in the geometry of the scan"
)
"""What a folder of lesion labels holds, in words."""

_MASKS = (".nii.gz", ".mask.nii.gz", ".nii", ".mask.nii")
_LUNG_GRID_MM = 3.0
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Truth:
    """Where the lesions of scans lie, as far as it is known.

    Args:
        path: a folder, see `EXPECTED`, or the mask of the one scan that is explained. A file is
            found by the scan's id, or by the name of the file or folder that holds the scan.

    Raises:
        ConfigError: there is no such path.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise ConfigError(
                f"there is no such folder or file; it is to hold {EXPECTED}.",
                where=self.path,
                fix="check the path of --truth.",
            )

    def files_of(self, name: str, place: str = "") -> list[Path]:
        """The files that tell of a scan: one mask, or classes and instances; empty if there are
        none.

        Args:
            name: of the scan; may be empty.
            place: where it lies, as in the table of heatmaps.
        """
        if self.path.is_file():
            return [self.path]
        for known in dict.fromkeys(filter(None, (name, image_stem(place)))):
            classes = self.path / f"{known}.classes.nii.gz"
            if classes.is_file():
                instances = self.path / f"{known}.instances.nii.gz"
                return [classes, instances] if instances.is_file() else [classes]
            for ending in _MASKS:
                if (mask := self.path / f"{known}{ending}").is_file():
                    return [mask]
        return []

    def labels_of(
        self, name: str, place: str = "", scan: Scan | None = None
    ) -> LesionLabels | None:
        """The lesions of a scan, or None where nothing tells of them.

        A mask says nothing of the lungs: they are taken as thresholds find them in the scan.

        Args:
            name, place: see `files_of`.
            scan: whose geometry the labels must have; without it a mask has no lung around it.

        Raises:
            LabelError: they are damaged, of other values, or do not lie where the scan lies.
        """
        files = self.files_of(name, place)
        if len(files) == 2:
            return read_labels(self.path, files[0].name.removesuffix(".classes.nii.gz"), scan)
        return _read_mask(files[0], scan) if files else None

    def check_covers(self, sources: Iterable[ScanSource]) -> str:
        """Look for the labels of scans before any is explained.

        Returns:
            A sentence on the scans without labels; empty where all have some.

        Raises:
            ConfigError: none has any, or one mask is to serve several scans.
        """
        readable = [source for source in sources if source.read is not None]
        if self.path.is_file() and len(readable) > 1:
            raise ConfigError(
                f"one mask cannot tell of {len(readable)} scans.",
                where=self.path,
                fix=f"give a folder that holds {EXPECTED}.",
            )
        without = [one for one in readable if not self.files_of(one.scan_id, one.path)]
        # What an image without an id is called is known once it was read.
        nameless = [one for one in without if not one.scan_id]
        if nameless and any(self.path.glob("image-*")):
            return ""
        if readable and len(without) == len(readable):
            wanted = f"{without[0].scan_id or image_stem(without[0].path)}.nii.gz"
            there = sorted(path.name for path in self.path.iterdir())[:_MOST_SHOWN]
            raise ConfigError(
                f"no file in it tells of any of the {len(readable)} scans, such as {wanted}; it "
                f"holds {', '.join(there) or 'nothing'}.",
                where=self.path,
                fix=f"--truth takes {EXPECTED}.",
            )
        if not without:
            return ""
        return f"{len(without)} of {len(readable)} scans have no lesion labels in {self.path.name}."

    def sentence(self, names: Iterable[tuple[str, str]]) -> str:
        """What was taken for granted of masks, in words; empty where there are only labels.

        Args:
            names: `name` and `place` of the scans that were explained.
        """
        found = [files for one in names if (files := self.files_of(*one))]
        masks = [files[0] for files in found if len(files) == 1]
        if not masks:
            return ""
        called = sum(path.name.endswith(".classes.nii.gz") for path in masks)
        told = (
            f" {called} of them are called classes but have no instances beside them, so that 1 "
            "was taken for lesion, not for lung."
            if called
            else ""
        )
        return (
            f"The lesions of {counted(len(masks), 'scan')} come from binary masks, which say "
            f"nothing of the lungs: these are taken as thresholds on HU find them.{told}"
        )


def _read_mask(path: Path, scan: Scan | None) -> LesionLabels:
    try:
        values, affine = read_volume(path)
    except CovidlitError as problem:
        raise LabelError(
            f"the mask cannot be read: {problem.what}", where=path, fix="write the file again."
        ) from problem
    present = np.unique(values)
    inside = [value for value in present.tolist() if value != 0]
    if len(inside) > 1 or (inside and not np.isfinite(inside[0])):
        shown = ", ".join(f"{value:g}" for value in present[:8].tolist())
        raise LabelError(
            f"a binary mask holds 0 and 1, this holds {len(present)} values ({shown} ...).",
            where=path,
            fix=f"--truth takes {EXPECTED}.",
        )
    if scan is not None:
        check_place(path, values.shape, affine, scan)
    return _labels(values != 0, affine, None if scan is None else _lungs(scan))


def _labels(
    lesion: NDArray[np.bool_], affine: NDArray[np.float64], lung: NDArray[np.bool_] | None
) -> LesionLabels:
    """A mask as labels: every lesion of the first class, since a mask does not tell them apart."""
    classes = np.zeros(lesion.shape, np.uint8)
    if lung is not None:
        classes[lung] = 1
    classes[lesion] = FIRST_LESION
    numbered: Any = cc3d.connected_components(lesion.astype(np.uint8), connectivity=26)
    return LesionLabels(classes, numbered.astype(np.int32), affine)


def _lungs(scan: Scan) -> NDArray[np.bool_]:
    """The lungs as thresholds find them on a coarse grid, on the scan's own."""
    coarse, spacing = thinned(scan.hu, scan.spacing, _LUNG_GRID_MM)
    found = lung_region(np.ascontiguousarray(coarse), spacing)
    for axis, length in enumerate(scan.hu.shape):
        step = max(1, round(_LUNG_GRID_MM / scan.spacing[axis]))
        nearest = np.minimum(np.arange(length) // step, found.shape[axis] - 1)
        found = np.take(found, nearest, axis=axis)
    return found
