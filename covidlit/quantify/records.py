"""What is known of each scan of a folder of results, so that a later call goes on from there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.files import fingerprint, write_json
from covidlit.lesions.report.severity import Severity
from covidlit.quantify.scan import Quantified

RECORDS = "records"


def made_from(settings: Any, source: Any, files: Any) -> str:
    """Hash of all that the results of a scan hang on."""
    return fingerprint({"settings": settings, "source": source, "files": files})


def keep(out_dir: Path, name: str, key: str, place: Sequence[str], done: Quantified) -> None:
    """Write the record of a finished scan, last of its files.

    Args:
        out_dir: folder of the results.
        name: of the scan.
        key: of `made_from`.
        place: what tells the scan's source from others, before it is read.
        done: its results.
    """
    lesions = json.loads(done.lesions.to_json(orient="records"))
    kept = {"key": key, "factors": done.factors, "lesions": lesions, "files": list(done.files)}
    kept |= {"place": list(place), "changes": list(done.changes), "spread": list(done.spread)}
    folder = out_dir / RECORDS
    folder.mkdir(parents=True, exist_ok=True)
    kept |= {"notes": list(done.notes), "labelled_by": done.labelled_by}
    severity = None if done.severity is None else asdict(done.severity)
    kept |= {"severity": severity, "severity_key": done.severity_key}
    write_json(folder / f"{name}.json", kept)


def remove_old_pages(
    out_dir: Path,
    pages: str,
    patient_of: Mapping[str, str],
    places: Collection[tuple[str, ...]],
) -> list[str]:
    """Remove pages on which a scan stands that is now another patient's, or not among those given.

    Those of the patient's scans that are left make it anew, since it belongs to their files. The
    record of a scan that is not there goes with its page.

    Args:
        out_dir: folder of the results.
        pages: the folder of pages in it.
        patient_of: scan_id -> patient, of this call.
        places: of the scans that may stand on pages, see `keep`.

    Returns:
        The scans that are not among them.
    """
    folder = (out_dir / pages).resolve()
    gone = []
    for path in sorted((out_dir / RECORDS).glob("*.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            scan, patient = str(kept["factors"]["scan_id"]), kept["factors"]["patient_id"]
            files = [out_dir / str(file) for file in kept["files"]]
            dropped = tuple(map(str, kept["place"])) not in places
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if not dropped and patient_of.get(scan, patient) == patient:
            continue
        own = [file for file in files if file.resolve().parent == folder]
        for file in own:
            file.unlink(missing_ok=True)
        if dropped:
            path.unlink()  # else it would take away the page that the others make
            gone.append(scan)
    return gone


def finished(out_dir: Path) -> dict[str, Quantified]:
    """The scans whose record and files are all there, by the hash of what they were made from."""
    known: dict[str, Quantified] = {}
    for path in sorted((out_dir / RECORDS).glob("*.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            done = Quantified(
                dict(kept["factors"]),
                pd.DataFrame(kept["lesions"]),
                tuple(map(str, kept["files"])),
                tuple(map(str, kept["notes"])),
                str(kept["labelled_by"]),
                tuple(map(dict, kept["changes"])),
                tuple(map(dict, kept["spread"])),
                Severity.of_plain(kept["severity"]) if kept.get("severity") else None,
                str(kept.get("severity_key", "")),
            )
            key = str(kept["key"])
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no record of ours
        if all((out_dir / file).is_file() for file in done.files):
            known[key] = done
    return known
