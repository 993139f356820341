"""Heatmaps of many scans into one folder; a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.cohort.scan_sources import ScanSource, refusal_reason
from covidlit.errors import CovidlitError
from covidlit.explain.heat_files import COLUMNS, TABLE, heatmap_files
from covidlit.files import fingerprint
from covidlit.preprocess.cache import scan_name
from covidlit.preprocess.index import Signatures
from covidlit.tables import write_table

if TYPE_CHECKING:
    from covidlit.explain.truth import Truth
    from covidlit.explain.write import HeatmapWriter
    from covidlit.lesions import LesionLabels

LOCALISATION_COLUMNS = (
    "has_lesions", "hit", "distance_mm", "chance", "heat_in_lesions", "heat_in_lung",
    "lesions_of_lung",
)  # fmt: skip
"""Further columns where lesion labels are known; see `Localisation`. `heat_in_lung` is always."""


def explain_scans(
    writer: HeatmapWriter,
    sources: Iterable[ScanSource],
    *,
    truth: Truth | None = None,
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Write NIfTI, picture and row of every scan, one after the other.

    Memory: one scan and its heat. Each finished scan leaves its row in `<name>.heat.json`, with a
    hash of all that it was made from: place, sizes and times of the source's files, network,
    settings, lesion labels. Where all of these are the same in a later call, its files are left
    alone. The hash is not one of the voxels, which would take reading every scan again. A scan that
    cannot be used keeps a row with its reason.

    Args:
        writer: makes and writes them.
        sources: the scans; those without an id are named by `scan_name`.
        truth: lesion labels, as far as scans have some.
        done: called after each scan.

    Returns:
        `heatmaps.csv`, in the order of the sources, which is written at the end: `COLUMNS`, and
        `heat_in_lung` (of `covidlit.explain.lung_heat`, or of the labels where a scan has lesions),
        with `truth` all of `LOCALISATION_COLUMNS`; `has_lesions` is null for a scan without labels.
    """
    columns = [*COLUMNS, *(LOCALISATION_COLUMNS if truth is not None else ("heat_in_lung",))]
    path = writer.out_dir / TABLE
    path.unlink(missing_ok=True)  # of an earlier call, whose files may be replaced
    finished = _finished_rows(writer.out_dir)
    settings, signatures = {**writer.settings(), "columns": columns}, Signatures(None)
    rows: list[dict[str, Any]] = []
    for source in sources:
        made_from = _made_from(source, settings, truth, signatures)
        row = None if made_from is None else finished.get(made_from)
        if row is None:
            row = _explain(writer, source, truth, made_from)
        rows.append({**row, "path": source.path})
        done()
    table = pd.DataFrame(rows, columns=columns)
    write_table(table, path)
    return table


def _explain(
    writer: HeatmapWriter, source: ScanSource, truth: Truth | None, made_from: str | None
) -> dict[str, Any]:
    """Write the files of one scan; its row."""
    reason = source.reason
    if source.read is not None:
        try:
            scan = source.read()
            name = scan_name(source.scan_id, scan)
            labels = None if truth is None else truth.labels_of(name, source.path, scan)
            written = writer.write(scan, name=name, labels=labels)
            found = _localisation(written.heatmap, labels)
            row = {**written.row, "heat_in_lung": written.heat_in_lung, **found}
            if made_from is not None:
                writer.finish(name, made_from, row)
            return row
        except Exception as error:
            reason = refusal_reason(error)  # one odd file must not cost all others
    return {"scan_id": source.scan_id, "status": "refused", "reason": reason}


def _localisation(heatmap: Any, labels: LesionLabels | None) -> dict[str, Any]:
    if labels is None:
        return {}
    from covidlit.explain.localisation import LesionTruth
    from covidlit.lesions import FIRST_LESION

    if not (labels.classes >= FIRST_LESION).any():
        return {"has_lesions": False}
    return {"has_lesions": True, **vars(LesionTruth(labels).localise(heatmap))}


def _made_from(
    source: ScanSource, settings: Any, truth: Truth | None, signatures: Signatures
) -> str | None:
    """Hash of all that the files of a scan are made from; None where that is unknown."""
    if source.location is None:
        return None
    try:
        return fingerprint(
            {
                "scan_id": source.scan_id,
                "place": str(source.location),
                "files": signatures.of(source.location, source.series_uid),
                "labels": _labels_signature(truth, source, signatures),
                "settings": settings,
            }
        )
    except (OSError, CovidlitError):
        return None  # said when it is read


def _labels_signature(truth: Truth | None, source: ScanSource, signatures: Signatures) -> list[Any]:
    if truth is None:
        return []
    files = truth.files_of(source.scan_id, source.path)
    if not files and not source.scan_id:
        # What an image without an id is called, and its labels, is known once it was read.
        files = [truth.path]
    return [str(truth.path.absolute()), [[path.name, signatures.of(path, None)] for path in files]]


def _finished_rows(out_dir: Path) -> dict[str, dict[str, Any]]:
    """Rows in a folder whose files are there, by the hash of what they were made from."""
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(out_dir.glob("*.heat.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            made_from, row = kept["made_from"], dict(kept["row"])
            files = heatmap_files(out_dir, path.name.removesuffix(".heat.json"))
        except (OSError, ValueError, LookupError, TypeError, CovidlitError):
            continue  # no record of ours
        if all(file.is_file() for file in files):
            rows[str(made_from)] = row
    return rows
