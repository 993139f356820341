"""The severity of a patient's scans, by the trained model of a disease."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from covidlit.deploy.tables.model import load_table_model
from covidlit.explain.tables.of_scan import SeverityOfScans
from covidlit.platform.clinical.known import write_known
from covidlit.platform.clinical.models import SeverityScore
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Patient
from covidlit.quantify.scan import Quantified
from covidlit.quantify.severity import SeverityModel

TABLE = "clinical.parquet"


def severity_model(patient: Patient, place: str, folder: Path) -> SeverityModel | None:
    """What scores a patient's scans: the model, with all that is known of the patient.

    Args:
        patient: whose scans.
        place: of the model; empty: none.
        folder: gets the patient's clinical table, where the model takes one.

    Returns:
        None without a model, and where it takes laboratory values and there are none.

    Raises:
        CheckpointError: it cannot be read.
    """
    if not place:
        return None
    if load_table_model(place).record.preprocess.kind != "clinical":
        return SeverityOfScans(place)
    table = write_known(patient, folder / TABLE)
    return None if table is None else SeverityOfScans(place, table)


def keep_scores(patient: Patient, disease: Disease, done: Iterable[Quantified]) -> None:
    """Keep the scores of a patient's newest labellings of a disease, each if it is a new one.

    Where there is none any more, as when the values were withdrawn, that is kept too. Done again
    with the same results it changes nothing.
    """
    of_scan = {str(one.factors["scan_id"]): one.severity for one in done}
    for scan in patient.scans.all():
        labelling = newest_labelling(scan, disease.name)
        if labelling is None or scan.scan_id not in of_scan:
            continue
        severity = of_scan[scan.scan_id]
        # As the database gives it back.
        plain = {} if severity is None else json.loads(json.dumps(asdict(severity)))
        newest = labelling.scores.first()
        if plain != (newest.severity if newest else {}):
            SeverityScore.objects.create(labelling=labelling, severity=plain)
