"""Heat of scans as files: NIfTI in the source's geometry, a PNG, and a row of the table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidlit.checkpoints.record import RunRecord
from covidlit.deploy.score_text import point_text, score_texts
from covidlit.errors import ConfigError
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.lung_heat import heat_in_lung
from covidlit.explain.nifti import packed_heat
from covidlit.explain.overlay import hottest_slices, overlay_png, slice_inches
from covidlit.files import check_replaceable, write_bytes, write_json
from covidlit.names import check_name
from covidlit.preprocess.body import body_mask
from covidlit.preprocess.geometry import Prepared
from covidlit.scans.scan import Scan

if TYPE_CHECKING:
    from covidlit.lesions import LesionLabels

TABLE = "heatmaps.csv"
KNOWN_BY = ("scan_id", "layer", "method", "scale", "nifti", "png")
"""Columns that every such table has."""

COLUMNS = (
    "scan_id", "path", "score", "layer", "method", "scale", "max", "mean_in_body", "peak_x_mm",
    "peak_y_mm", "peak_z_mm", "nifti_max", "nifti_peak_x_mm", "nifti_peak_y_mm", "nifti_peak_z_mm",
    "input_x_mm", "input_y_mm", "input_z_mm", "nifti", "png", "status", "reason",
)  # fmt: skip
"""Of `heatmaps.csv`; peaks, and the first voxel of the network's input, are in LPS, the patient
space of DICOM.

`max` and `peak_*` are of the network's own map, whose maximum lies between the scan's slices as a
rule, so that a scan's slices do not decide about a hit. `nifti_max` and `nifti_peak_*` are of the
map on the scan's grid, in the NIfTI and the picture: somewhat less, and elsewhere where two places
are almost as hot."""


@dataclass(frozen=True)
class WrittenHeatmap:
    """What was written for one scan.

    Args:
        heatmap: the heat itself.
        row: of `heatmaps.csv`, `COLUMNS` by name.
        png: the picture, as it was written.
        prepared: what the network saw.
    """

    heatmap: Heatmap
    row: dict[str, Any]
    png: bytes
    prepared: Prepared

    @property
    def heat_in_lung(self) -> float | None:
        """See `covidlit.explain.lung_heat.heat_in_lung`."""
        return heat_in_lung(self.heatmap, self.prepared)


def heatmap_files(folder: Path, name: str) -> tuple[Path, Path]:
    """The NIfTI and the picture of a scan.

    Raises:
        ExplainError: `name` is no name of a file (contract 12).
    """
    check_name(name, "name of a heatmap", ExplainError)
    return folder / f"{name}.heat.nii.gz", folder / f"{name}.png"


class HeatFiles:
    """Writes heat that was made elsewhere, all on its network's one scale.

    Args:
        record: of the network's run.
        out_dir: folder for `<scan_id>.heat.nii.gz` and `<scan_id>.png`.
        layer, method: what the heat is made with.
        scale: heat of the colour bar's upper end.
        n_slices: slices in each picture, at least 1.

    Raises:
        ConfigError: an argument out of its range.
    """

    def __init__(
        self,
        record: RunRecord,
        out_dir: str | Path,
        *,
        layer: str,
        method: str,
        scale: float,
        n_slices: int = 3,
    ) -> None:
        if n_slices < 1:
            raise ConfigError(f"n_slices must be at least 1, got {n_slices}.", where="n_slices")
        if not scale > 0:
            raise ConfigError(f"scale must be greater than 0, got {scale}.", where="scale")
        self.record, self.out_dir = record, Path(out_dir)
        self.layer, self.method, self.scale, self.n_slices = layer, method, scale, n_slices

    def write_heat(
        self,
        scan: Scan,
        prepared: Prepared,
        make: Callable[[], Heatmap],
        score: float | None = None,
        *,
        name: str,
        labels: LesionLabels | None = None,
    ) -> WrittenHeatmap:
        """Write the files of a scan, each whole or not at all.

        Args:
            scan: the source.
            prepared: of the scan, for the network.
            make: makes the heat; called once the place of the files is known to be free.
            score: to be printed and kept; None: the heatmap's own.
            name: of the files; a pseudonym such as the scan_id, never a patient's name.
            labels: lesions, to be outlined in the picture.

        Raises:
            ExplainError: `name` is no name of a file (contract 12).
            CovidlitError: another file lies at the picture's place.
        """
        nifti, picture = heatmap_files(self.out_dir, name)
        # Nobody else ends a name in .heat.nii.gz or .heat.json: beside one the picture is ours too.
        own = (nifti, self._finished(name))
        check_replaceable(picture, lambda _: any(file.exists() for file in own), "covidlit")
        heatmap = make()
        score = heatmap.score if score is None else score
        z, y, x = scan.hu.shape
        plane_of = heatmap.planes_on((z, y, x), scan.affine)
        found = np.array([(plane.max(), plane.mean()) for plane in map(plane_of, range(z))])
        slices = hottest_slices(found[:, 0], found[:, 1], scan.spacing[0], self.n_slices)
        with ThreadPoolExecutor(1) as pool:  # packing the heat does without Python's lock
            packing = pool.submit(
                packed_heat,
                map(plane_of, range(z)),
                (z, y, x),
                float(found[:, 0].max()),
                scan.affine,
            )
            drawn = {k: plane_of(k) for k in slices}
            png = overlay_png(
                scan, drawn, self.scale, slices=slices,
                title=picture_title(name, score, self.record.operating_point),
                inches=slice_inches(self.n_slices),
                lesion=None if labels is None else labels.classes > 1,
            )  # fmt: skip
        self._finished(name).unlink(missing_ok=True)  # what it says is true of the old files only
        write_bytes(nifti, packing.result())
        write_bytes(picture, png)
        peak, first = heatmap.peak_mm, prepared.affine[:3, 3].tolist()
        written = _peak_mm(drawn[slices[0]], slices[0], scan.affine)
        row = {
            "scan_id": name, "score": score, "layer": self.layer, "method": self.method,
            "scale": self.scale, "max": heatmap.maximum,
            "mean_in_body": mean_in_body(heatmap, prepared), "peak_x_mm": peak[0],
            "peak_y_mm": peak[1], "peak_z_mm": peak[2], "nifti_max": float(found[:, 0].max()),
            "nifti_peak_x_mm": written[0], "nifti_peak_y_mm": written[1],
            "nifti_peak_z_mm": written[2],
            "input_x_mm": first[0], "input_y_mm": first[1], "input_z_mm": first[2],
            "nifti": nifti.name, "png": picture.name, "status": "ok", "reason": None,
        }  # fmt: skip
        return WrittenHeatmap(heatmap, row, png, prepared)

    def finish(self, name: str, made_from: str, row: dict[str, Any]) -> None:
        """Keep the row of a written scan, and a hash of what it was made from, beside its files."""
        write_json(self._finished(name), {"made_from": made_from, "row": row})

    def _finished(self, name: str) -> Path:
        return self.out_dir / f"{name}.heat.json"


def picture_title(name: str, score: float | None, point: float | None) -> str:
    """Name and score of a scan, and below them what the score means, where that is known.

    Args:
        name: of the scan.
        score: None where it is not known.
        point: from which a scan is called positive; None where there is none.
    """
    title = f"{name[:16]}, score {score_texts([score], point)[0]}"
    if score is None or point is None:
        return title
    called = "called positive" if score >= point else "called negative"
    return f"{title}\n{called}, threshold {point_text(point, [score])}"


def _peak_mm(
    plane: NDArray[np.float32], index: int, affine: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Where a plane (y, x) of a scan is hottest, LPS millimetres (x, y, z); the first of equals."""
    row, column = np.unravel_index(int(plane.argmax()), plane.shape)
    x, y, z = (affine @ [index, row, column, 1.0])[:3]
    return float(x), float(y), float(z)


def mean_in_body(heatmap: Heatmap, prepared: Prepared) -> float | None:
    """Mean heat where the network saw the patient, air in the lungs included; None without one."""
    body = body_mask(prepared.array)
    return float(heatmap.on_input()[body].mean()) if body.any() else None
