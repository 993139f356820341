"""The planes of a scan and of its labels, each by itself in an archive, so that one is read fast.

An archive (ZIP) holds `shape.json` and, for each plane, `NNNN`: its values, compressed. Axial
planes are as fine as the scan. Beside them lie coronal and sagittal ones to look at,
`coronal.NAME` and `sagittal.NAME`, of every second or further row and column of a large matrix,
the head up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.typing import NDArray

from covidlit.files import atomic_path
from covidlit.scans.scan import Scan

_LEVEL = 1
AXIAL, CORONAL, SAGITTAL = "axial", "coronal", "sagittal"
AXES = (AXIAL, CORONAL, SAGITTAL)
_FINEST = 256
"""Rows and columns that coronal and sagittal planes have at most, about."""


def write_planes(scan: Scan, path: Path) -> None:
    """The Hounsfield units of a scan, int16, with its place in the patient."""
    z, y, x = scan.spacing
    _write(scan.hu, path, spacing=[z, y, x], affine=scan.affine.tolist())
    step = _step(scan.hu.shape)
    _write(_coronal(scan.hu, step), path_of(path, CORONAL), spacing=[step * y, z, step * x])
    _write(_sagittal(scan.hu, step), path_of(path, SAGITTAL), spacing=[step * x, z, step * y])


def write_label_planes(
    classes: NDArray[np.uint8], instances: NDArray[np.int32], path: Path
) -> None:
    """Classes and numbers of lesions, uint8 and int32, one behind the other in each plane."""
    labels = (classes.astype(np.int32), instances)
    step = _step(classes.shape)
    _write(np.stack(labels, axis=1), path)
    for axis, cut in ((CORONAL, _coronal), (SAGITTAL, _sagittal)):
        _write(np.stack([cut(each, step) for each in labels], axis=1), path_of(path, axis))


def path_of(path: Path, axis: str) -> Path:
    """Where the planes of an axis lie, by where the axial ones do."""
    return path if axis == AXIAL else path.with_name(f"{axis}.{path.name}")


def _step(shape: tuple[int, ...]) -> int:
    return max(1, round(max(shape[1:]) / _FINEST))


def _coronal(volume: NDArray[Any], step: int) -> NDArray[Any]:
    """(z, y, x) from the feet as planes from the front, each (z from the head, x)."""
    return volume[::-1, ::step, ::step].swapaxes(0, 1)


def _sagittal(volume: NDArray[Any], step: int) -> NDArray[Any]:
    """(z, y, x) from the feet as planes from the right, each (z from the head, y)."""
    return np.moveaxis(volume[::-1, ::step, ::step], 2, 0)


class Planes:
    """An archive of planes, opened for reading.

    Args:
        path: of the axial ones.
        axis: in `AXES`.

    Raises:
        FileNotFoundError: there is none.
    """

    def __init__(self, path: Path, axis: str = AXIAL) -> None:
        self._archive = ZipFile(path_of(path, axis))
        self._about: dict[str, Any] = json.loads(self._archive.read("shape.json"))

    def __len__(self) -> int:
        return int(self._about["shape"][0])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a plane."""
        rows, columns = self._about["shape"][-2:]
        return int(rows), int(columns)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm: between the planes, their rows and their columns; of axial ones (z, y, x)."""
        z, y, x = self._about["spacing"]
        return float(z), float(y), float(x)

    @property
    def affine(self) -> NDArray[np.float64]:
        """Of a scan: index (z, y, x) to mm in LPS."""
        return np.array(self._about["affine"], np.float64)

    def plane(self, index: int) -> NDArray[Any]:
        """One plane, by its index from the feet, the front or the right."""
        content = self._archive.read(f"{index:04d}")
        found = np.frombuffer(content, self._about["type"])
        return found.reshape(self._about["shape"][1:])


def _write(array: NDArray[Any], path: Path, **about: Any) -> None:
    facts = {"shape": list(array.shape), "type": array.dtype.newbyteorder("<").str, **about}
    with (
        atomic_path(path) as temporary,
        ZipFile(temporary, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
    ):
        archive.writestr("shape.json", json.dumps(facts))
        for index, plane in enumerate(array):
            little = np.ascontiguousarray(plane, dtype=facts["type"])
            archive.writestr(f"{index:04d}", little.tobytes())
