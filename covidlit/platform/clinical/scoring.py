"""The severity of a patient's scans, by the trained model that `platform.toml` names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from django.conf import settings

from covidlit.deploy.tables.model import load_table_model
from covidlit.platform.clinical.known import write_known
from covidlit.platform.clinical.models import SeverityScore
from covidlit.platform.registry.models import Labelling, Patient
from covidlit.quantify.scan import Quantified
from covidlit.quantify.severity import SeverityModel

TABLE = "clinical.parquet"


def severity_model(patient: Patient, folder: Path) -> SeverityModel | None:
    """What scores a patient's scans: the model, with all that is known of the patient.

    Args:
        folder: gets the patient's clinical table, where the model takes one.

    Returns:
        None without a model, and where it takes laboratory values and there are none.

    Raises:
        CheckpointError: it cannot be read.
    """
    place = settings.FOLDER.settings.models.severity
    if not place:
        return None
    # Torch takes seconds to import.
    from covidlit.explain.tables.of_scan import SeverityOfScans

    if load_table_model(place).record.preprocess.kind != "clinical":
        return SeverityOfScans(place)
    table = write_known(patient, folder / TABLE)
    return None if table is None else SeverityOfScans(place, table)


def keep_scores(patient: Patient, done: Iterable[Quantified]) -> None:
    """Keep the scores of a patient's newest labellings, each if it says something new.

    Done again with the same results it changes nothing.
    """
    of_scan = {str(one.factors["scan_id"]): one.severity for one in done}
    for scan in patient.scans.all():
        severity = of_scan.get(scan.scan_id)
        labelling = scan.labellings.first()
        if severity is None or labelling is None:
            continue
        plain = json.loads(json.dumps(asdict(severity)))  # as the database gives it back
        newest = newest_score(labelling)
        if newest is None or newest.severity != plain:
            SeverityScore.objects.create(labelling=labelling, severity=plain)


def newest_score(labelling: Labelling) -> SeverityScore | None:
    """The score that counts."""
    return labelling.scores.first()
