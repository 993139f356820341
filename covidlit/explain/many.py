"""Heatmaps of many scans into one folder; a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.checkpoints.weights import weights_hash
from covidlit.cohort.scan_sources import ScanSource, refusal_reason
from covidlit.explain.write import COLUMNS, HeatmapWriter
from covidlit.files import write_json
from covidlit.tables import read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.lesions import LesionLabels
    from covidlit.scans.scan import Scan

TABLE = "heatmaps.csv"
SETTINGS = "heatmaps.json"
FOUND = (
    "has_lesions", "hit", "distance_mm", "chance", "heat_in_lesions", "heat_in_lung",
    "lesions_of_lung",
)  # fmt: skip
"""Further columns where lesion labels are known; see `Localisation`."""


def explain_scans(
    writer: HeatmapWriter,
    sources: Iterable[ScanSource],
    *,
    truth: str | Path | None = None,
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Write NIfTI, picture and row of every scan, one after the other.

    Memory: one scan and its heat. Scans whose files are there from an earlier call with the same
    weights, layer, method and scale are left alone; a scan that cannot be used keeps a row with
    its reason.

    Args:
        writer: makes and writes them.
        sources: the scans; those without an id are named image-1, image-2, ...
        truth: folder of lesion labels (contract 7), as far as scans have some.
        done: called after each scan.

    Returns:
        `heatmaps.csv`: `COLUMNS`, and `FOUND` with `truth`; `has_lesions` is null for a scan
        without labels.
    """
    import pandas as pd

    known = _known_rows(writer, truth)
    columns = [*COLUMNS, *(FOUND if truth is not None else ())]
    rows: list[dict[str, Any]] = []
    path = writer.out_dir / TABLE
    for number, source in enumerate(sources, start=1):
        name = source.scan_id or f"image-{number}"
        row = known.get(name)
        if row is None:
            row = _explained(writer, source, name, truth)
            rows.append(row)
            # With those of an earlier call that are still to come, which would be lost otherwise.
            kept = [known[other] for other in known if other not in {r["scan_id"] for r in rows}]
            write_table(pd.DataFrame([*rows, *kept], columns=columns), path)
        else:
            rows.append(row)
        done()
    table = pd.DataFrame(rows, columns=columns)
    write_table(table, path)
    return table


def _explained(
    writer: HeatmapWriter, source: ScanSource, name: str, truth: str | Path | None
) -> dict[str, Any]:
    reason = source.reason
    if source.read is not None:
        try:
            scan = source.read()
            labels = _labels(truth, name, scan)
            written = writer.write(scan, name=name, labels=labels)
            return {**written.row, **_found(written.heatmap, labels)}
        except Exception as error:
            reason = refusal_reason(error)  # one odd file must not cost all others
    return {"scan_id": name, "status": "refused", "reason": reason}


def _labels(truth: str | Path | None, name: str, scan: Scan) -> LesionLabels | None:
    """The lesion labels of a scan, or None where the folder has none for it.

    Raises:
        LabelError: they are damaged or do not lie where the scan lies.
    """
    if truth is None:
        return None
    from covidlit.lesions import label_paths, read_labels

    if not label_paths(truth, name)[0].is_file():
        return None
    return read_labels(truth, name, scan)


def _found(heatmap: Any, labels: LesionLabels | None) -> dict[str, Any]:
    if labels is None:
        return {}
    from covidlit.explain.localisation import LesionTruth
    from covidlit.lesions import FIRST_LESION

    if not (labels.classes >= FIRST_LESION).any():
        return {"has_lesions": False}
    return {"has_lesions": True, **vars(LesionTruth(labels).localise(heatmap))}


def _known_rows(writer: HeatmapWriter, truth: str | Path | None) -> Mapping[str, dict[str, Any]]:
    """Rows of an earlier call with the same settings, whose files are there."""
    settings = {
        "weights": weights_hash(writer.task.state_dict()), "layer": writer.layer,
        "method": writer.method, "scale": writer.scale, "n_slices": writer.n_slices,
        "truth": None if truth is None else listing_hash(truth),
    }  # fmt: skip
    path, table = writer.out_dir / SETTINGS, writer.out_dir / TABLE
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == settings
    except (OSError, ValueError):
        same = False
    if not same or not table.is_file():
        table.unlink(missing_ok=True)
        write_json(path, settings)
        return {}
    rows = read_table(table).astype(object)
    rows = rows.where(rows.notna(), None)
    return {
        row["scan_id"]: row
        for row in rows.to_dict("records")
        if row["status"] == "ok"
        and all((writer.out_dir / str(row[kind])).is_file() for kind in ("nifti", "png"))
    }


def listing_hash(folder: str | Path) -> str:
    """SHA-256 (hex) of the names and sizes of the files in a folder, wherever it lies."""
    root = Path(folder)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    listed = [f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n" for path in files]
    return hashlib.sha256("".join(listed).encode()).hexdigest()
