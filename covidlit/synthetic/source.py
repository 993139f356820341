"""The synthetic cohort as a source of a run: written once as DICOM, and read like any other."""

from __future__ import annotations

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
    preset, seed = arguments.get("preset", "mild"), arguments.get("seed", 0)
    root = Path(folder) / f"{preset}-seed{seed}-{fingerprint(arguments)[:8]}"
    usual = None if preset == "severity" else InclusionCriteria()
    if inclusion == InclusionCriteria():
        inclusion = usual
    of = asdict(inclusion) if inclusion else None
    manifest = root / (
        "manifest.csv" if inclusion == usual else f"manifest-{fingerprint(of)[:8]}.csv"
    )
    cohort = make_cohort(root, n_jobs=n_jobs, **arguments)
    if not manifest.is_file():
        built = manifest_from_dicom(cohort.dicom, cohort.labels, folder=root, inclusion=inclusion)
        write_table(built.flow.to_frame(), flow_path(manifest))
        write_manifest(built.manifest, manifest)
    return manifest
