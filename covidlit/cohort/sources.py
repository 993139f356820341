"""Where a run's manifest comes from: the `source` node of `conf/data/*.yaml`, and `inclusion`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from covidlit.cohort.flow import Flow
from covidlit.cohort.inclusion import InclusionCriteria
from covidlit.cohort.manifest import MANIFEST_SCHEMA, read_manifest, write_manifest
from covidlit.cohort.misspelt import UIDS, misspelling_warnings
from covidlit.cohort.slice_criteria import SliceCriteria
from covidlit.counted import counted
from covidlit.errors import ManifestError
from covidlit.files import fingerprint
from covidlit.tables import read_table, write_table

log = logging.getLogger(__name__)


def existing_manifest(
    path: str,
    folder: str = "data/manifests",
    inclusion: InclusionCriteria | SliceCriteria | None = None,
) -> Path:
    """A manifest that is already there, or its rows that meet the criteria.

    A column or class that is probably a misspelt known one is warned of and stays as it is.

    Args:
        path: of the manifest.
        folder: where these rows are kept, with their flow.
        inclusion: None: every row is used.

    Raises:
        ManifestError: there is no such file, it breaks contract 2, or no row meets the criteria.
    """
    manifest = Path(path)
    if not manifest.is_file():
        raise ManifestError(
            "there is no such manifest.",
            where=manifest,
            fix="make one with `covidlit manifest DIR --labels labels.csv --out manifest.csv`.",
        )

    table = read_manifest(manifest)
    known = [name for name in MANIFEST_SCHEMA.columns if name not in UIDS]
    for sentence in misspelling_warnings(table, known, manifest.name):
        log.warning(sentence)
    if inclusion is None:
        return manifest
    return _included(manifest, table, Path(folder), inclusion)


def _included(
    manifest: Path, table: pd.DataFrame, folder: Path, criteria: InclusionCriteria | SliceCriteria
) -> Path:
    left, flow = criteria.apply(table, Flow.start(table, f"scans in {manifest.name}"))
    if left.empty:
        fix = "choose inclusion=none, or criteria that fit the cohort."
        raise ManifestError(
            f"no row meets the inclusion criteria ({flow.summary()}).",
            where=manifest,
            fix=" ".join([*criteria.notes(flow), fix]),
        )
    for missing in criteria.notes(flow):
        log.warning(missing)
    if "status" in left:
        refused = left["status"] == "refused"
        _, flow = flow.step(left, "accepted by the checks (the others stay, as refused)", refused)
    steps = flow.to_frame()
    before, note = flow_of(manifest)
    if before is not None:
        steps = pd.concat([before, steps], ignore_index=True)
        steps["step"] = range(len(steps))
    elif note:
        log.warning(note)
    of = fingerprint({"manifest": str(manifest.resolve()), **asdict(criteria)})[:8]
    path = folder / f"{manifest.stem}-{of}.csv"
    write_table(steps, flow_path(path))
    return write_manifest(left, path)


def flow_path(manifest: Path) -> Path:
    """Where the flow of inclusion of a manifest is kept: `<manifest>.flow.csv`."""
    return manifest.with_suffix(".flow.csv")


def flow_of(path: Path) -> tuple[pd.DataFrame | None, str]:
    """The flow of inclusion kept beside a manifest, where it is this manifest's.

    Args:
        path: of the manifest.

    Returns:
        The flow, as `Flow.to_frame` makes it; None where there is none, where it cannot be read,
        or where it ends with other numbers of scans and patients than the manifest has. The text
        says which of the last two it is, and is empty otherwise.
    """
    beside = flow_path(path)
    if not beside.is_file():
        return None, ""
    hidden = f"The inclusion flow in {beside.name} is not shown"
    try:
        flow = read_table(beside, ManifestError)
    except ManifestError:
        return None, f"{hidden}: the table cannot be read."
    manifest = read_manifest(path)
    if "status" in manifest:
        manifest = manifest[manifest["status"] != "refused"]
    has = [len(manifest), manifest["patient_id"].nunique()]
    last = flow.tail(1).reindex(columns=["n_left", "n_patients"]).to_numpy().tolist()
    if last == [has]:
        return flow, ""
    return None, (
        f"{hidden}: it does not end with {counted(has[0], 'accepted scan')} of "
        f"{counted(has[1], 'patient')} as {path.name} does, so it is of another manifest."
    )
