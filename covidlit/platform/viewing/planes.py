"""The planes of a scan and of its labels, each by itself in an archive, so that one is read fast.

An archive (ZIP) holds `shape.json` and, for each axial plane, `NNNN`: its values, compressed.
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


def write_planes(scan: Scan, path: Path) -> None:
    """The Hounsfield units of a scan, int16, with its place in the patient."""
    _write(scan.hu, path, spacing=list(scan.spacing), affine=scan.affine.tolist())


def write_label_planes(
    classes: NDArray[np.uint8], instances: NDArray[np.int32], path: Path
) -> None:
    """Classes and numbers of lesions, uint8 and int32, one behind the other in each plane."""
    both = np.stack([classes.astype(np.int32), instances], axis=1)
    _write(both, path)


class Planes:
    """An archive of planes, opened for reading.

    Raises:
        FileNotFoundError: there is none.
    """

    def __init__(self, path: Path) -> None:
        self._archive = ZipFile(path)
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
        """mm, (z, y, x)."""
        z, y, x = self._about["spacing"]
        return float(z), float(y), float(x)

    @property
    def affine(self) -> NDArray[np.float64]:
        """Of a scan: index (z, y, x) to mm in LPS."""
        return np.array(self._about["affine"], np.float64)

    def plane(self, index: int) -> NDArray[Any]:
        """One plane, by its index from the feet."""
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
