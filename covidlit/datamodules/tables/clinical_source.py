"""Where a run's clinical table comes from: the `source` node of `conf/data/clinical.yaml`."""

from __future__ import annotations

from pathlib import Path

from covidlit.cohort.clinical import write_clinical
from covidlit.errors import ManifestError
from covidlit.files import fingerprint
from covidlit.synthetic.labs import clinical_table
from covidlit.synthetic.presets import plan_cohort


def clinical_file(
    path: str | None = None,
    folder: str = "data/synthetic",
    n_scans: int = 400,
    seed: int = 0,
    inclusion: None = None,
) -> Path:
    """A clinical table that is there, or that of a synthetic severity cohort, without its scans.

    Args:
        path: of the table; None: the synthetic one.
        folder: where that is kept.
        n_scans, seed: of it; see `covidlit.synthetic.make_cohort`.
        inclusion: none: the criteria of scans do not apply.

    Raises:
        ManifestError: there is no such file, or there are criteria of scans.
    """
    if inclusion is not None:
        raise ManifestError(
            "the inclusion criteria are of scans, and a row is a patient here.",
            where="inclusion",
            fix="use inclusion=none.",
        )
    if path is not None:
        if not Path(path).is_file():
            raise ManifestError(
                "there is no such table.", where=path, fix="check data.source.path."
            )
        return Path(path)
    name = f"severity-labs-seed{seed}-{fingerprint([n_scans, seed])[:8]}"
    made = Path(folder) / name / "clinical.csv"
    if not made.is_file():
        cases = plan_cohort("severity", n_scans, seed)
        centres = {case.patient_id: case.centre for case in cases}
        table = clinical_table(cases)
        made.parent.mkdir(parents=True, exist_ok=True)
        write_clinical(table.assign(centre=table["patient_id"].map(centres)), made)
    return made
