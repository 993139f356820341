"""The synthetic cohort as a source of a run: written once as DICOM, and read like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from covidlit.cohort.build import manifest_from_dicom
from covidlit.cohort.inclusion import InclusionCriteria
from covidlit.cohort.manifest import write_manifest
from covidlit.cohort.sources import flow_path
from covidlit.files import fingerprint
from covidlit.synthetic.make import make_cohort
from covidlit.tables import write_table


def synthetic_manifest(
    folder: str,
    n_jobs: int = -1,
    inclusion: InclusionCriteria | None = InclusionCriteria(),  # noqa: B008 (immutable)
    **arguments: Any,
) -> Path:
    """Write a synthetic cohort as DICOM, unless it is there, and make its manifest.

    Args:
        folder: cohorts with other arguments stand side by side in it.
        n_jobs: processes that draw scans.
        inclusion: None: every scan. The paper's criteria as they are do not apply to the preset
            severity, since they ask for mild cases and first scans, and it has neither.
        **arguments: of `covidlit.synthetic.make_cohort`.
    """
    inclusion = _inclusion_of(inclusion, arguments)
    manifest = synthetic_manifest_path(folder, inclusion, **arguments)
    root = manifest.parent
    cohort = make_cohort(root, n_jobs=n_jobs, **arguments)
    if not manifest.is_file():
        built = manifest_from_dicom(cohort.dicom, cohort.labels, folder=root, inclusion=inclusion)
        write_table(built.flow.to_frame(), flow_path(manifest))
        write_manifest(built.manifest, manifest)
    return manifest


def synthetic_manifest_path(
    folder: str | Path, inclusion: InclusionCriteria | None, **arguments: Any
) -> Path:
    """Where `synthetic_manifest` keeps the manifest of these arguments; nothing is written."""
    preset, seed = arguments.get("preset", "mild"), arguments.get("seed", 0)
    root = Path(folder) / f"{preset}-seed{seed}-{fingerprint(arguments)[:8]}"
    inclusion = _inclusion_of(inclusion, arguments)
    if inclusion == _usual_inclusion(arguments):
        return root / "manifest.csv"
    of = asdict(inclusion) if inclusion else None
    return root / f"manifest-{fingerprint(of)[:8]}.csv"


def _usual_inclusion(arguments: Mapping[str, Any]) -> InclusionCriteria | None:
    return None if arguments.get("preset") == "severity" else InclusionCriteria()


def _inclusion_of(
    inclusion: InclusionCriteria | None, arguments: Mapping[str, Any]
) -> InclusionCriteria | None:
    """The paper's criteria as they are stand for those of the preset."""
    return _usual_inclusion(arguments) if inclusion == InclusionCriteria() else inclusion
