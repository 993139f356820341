"""What is known of each scan of a folder of results, so that a later call goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.files import fingerprint, write_json
from covidlit.quantify.scan import Quantified

RECORDS = "records"


def made_from(settings: Any, source: Any, files: Any) -> str:
    """Hash of all that the results of a scan hang on."""
    return fingerprint({"settings": settings, "source": source, "files": files})


def keep(out_dir: Path, name: str, key: str, done: Quantified) -> None:
    """Write the record of a finished scan, last of its files."""
    lesions = json.loads(done.lesions.to_json(orient="records"))
    kept = {"key": key, "factors": done.factors, "lesions": lesions, "files": list(done.files)}
    folder = out_dir / RECORDS
    folder.mkdir(parents=True, exist_ok=True)
    kept |= {"notes": list(done.notes), "labelled_by": done.labelled_by}
    write_json(folder / f"{name}.json", kept)


def remove_pages_of_others(out_dir: Path, pages: str, patient_of: Mapping[str, str]) -> None:
    """Remove pages of a patient on which a scan stands that is now said to be another's.

    Those of the patient's scans that are left make it anew, since it belongs to their files.

    Args:
        out_dir: folder of the results.
        pages: the folder of pages in it.
        patient_of: scan_id -> patient, of this call.
    """
    folder = (out_dir / pages).resolve()
    for path in sorted((out_dir / RECORDS).glob("*.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            scan, patient = str(kept["factors"]["scan_id"]), kept["factors"]["patient_id"]
            files = [out_dir / str(file) for file in kept["files"]]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if patient_of.get(scan, patient) != patient:
            for file in files:
                if file.resolve().parent == folder:
                    file.unlink(missing_ok=True)


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
            )
            key = str(kept["key"])
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no record of ours
        if all((out_dir / file).is_file() for file in done.files):
            known[key] = done
    return known
