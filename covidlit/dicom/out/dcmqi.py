"""What dcmqi, a program of others, reads in a segmentation: voxels and centroid of each segment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from covidlit.dicom.out.measure import Placed, placed_labels

_PROGRAM = "segimage2itkimage"
_SECONDS = 600


def dcmqi_program() -> str | None:
    """The path of dcmqi's reader: beside this Python, where pip puts it, or on the PATH."""
    beside = Path(sys.executable).parent / _PROGRAM
    return str(beside) if beside.is_file() else shutil.which(_PROGRAM)


def placed_by_dcmqi(path: Path) -> dict[str, Placed] | None:
    """Count and place each segment as dcmqi reads it.

    dcmqi may print an error, write nothing and exit with 0, as it does for a tilted series: what it
    wrote is what counts. It numbers anew what it reads: segments are known by TrackingUID, or by
    label where they have none.

    Args:
        path: a segmentation.

    Returns:
        TrackingUID or label -> voxels and centroid; None where dcmqi is not installed or reads
        nothing.
    """
    program = dcmqi_program()
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="covidlit-dcmqi-") as folder:
        command = [program, "--mergeSegments", "-t", "nrrd", "-p", "seg"]
        try:
            subprocess.run(
                [*command, "--outputDirectory", folder, "--inputDICOM", str(path.absolute())],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        found: dict[str, Placed] = {}
        for volume, segments in _pairs(Path(folder)):
            found |= _placed(volume, segments)
        return found or None


def _pairs(folder: Path) -> list[tuple[Path, list[dict[str, Any]]]]:
    """Each volume that dcmqi wrote, and its segments: several where segments overlap."""
    about = folder / "seg-meta.json"
    if not about.is_file():
        return []
    groups = json.loads(about.read_text(encoding="utf-8"))["segmentAttributes"]
    volumes = [folder / f"seg-{k + 1}.nrrd" for k in range(len(groups))]
    if not all(volume.is_file() for volume in volumes):
        return []
    return list(zip(volumes, groups, strict=True))


def _placed(volume: Path, segments: list[dict[str, Any]]) -> dict[str, Placed]:
    image = SimpleITK.ReadImage(str(volume))
    labels = SimpleITK.GetArrayViewFromImage(image)
    # SimpleITK counts (x, y, z) and its direction's columns are those axes; labels are (z, y, x).
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine = np.eye(4)
    affine[:3, :3] = direction[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    most = max(int(labels.max(initial=0)), *(segment["labelID"] for segment in segments))
    found = placed_labels(labels, affine, most)
    return {_name_of(segment): found[segment["labelID"]] for segment in segments}


def _name_of(segment: dict[str, Any]) -> str:
    return str(segment.get("TrackingUniqueIdentifier") or segment["SegmentLabel"])
