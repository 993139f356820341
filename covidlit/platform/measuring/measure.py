"""The job that measures a patient's scans, by the library that `covidlit quantify` calls."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from django.conf import settings
from filelock import FileLock

from covidlit.errors import ConfigError
from covidlit.platform.clinical.scoring import keep_scores, severity_model
from covidlit.platform.correcting.labeller import (
    CorrectedLabeller,
    corrections_made,
    corrections_of,
)
from covidlit.platform.correcting.models import Correction
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.folder import remove_unfinished
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.measuring.bring import bring
from covidlit.platform.named_files import MASKS
from covidlit.platform.registry.files import source_files
from covidlit.platform.registry.followed import diseases_of
from covidlit.platform.registry.models import Patient
from covidlit.quantify.kept_classes import KeptClasses
from covidlit.quantify.labeller import Labeller
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.quantify.records import finished
from covidlit.quantify.results import SCANS_TABLE, Results
from covidlit.tables import write_table

MANIFEST, QUANTIFIED = "manifest.csv", "quantified"
_MEASURED = "measured"


def measured_folder(patient: Patient, disease: Disease) -> Path:
    """Where the results of `covidlit quantify` for a patient and a disease lie."""
    own: Path = settings.FOLDER.results
    return own / patient.pseudonym / _MEASURED / disease.name / QUANTIFIED


def measure(job: Job, say: Say) -> None:
    """Label and measure the scans of a patient that are not yet, and what changed between them.

    For a disease that no study group of the patient follows any more nothing is done.

    Raises:
        CovidlitError: see `measure_patient`.
    """
    patient = Patient.objects.get(pk=job.arguments["patient"])
    for disease in diseases_of(patient):
        if disease.name == job.arguments["disease"]:
            measure_patient(patient, disease, say)
            if n := len(refused(patient, disease)):
                message = f"{n} of its scans could not be measured: the pages of these say why."
                Job.objects.filter(pk=job.pk).update(message=message)


def measure_patient(
    patient: Patient, disease: Disease, say: Say, also: Correction | None = None
) -> Results:
    """Label and measure a patient's scans for a disease; as people have corrected them for it.

    Args:
        patient: whose scans.
        disease: whose lesions count; see `KeptClasses` for what becomes of the others.
        say: told how far it is.
        also: a correction that is saved, and becomes a version by this.

    Raises:
        ConfigError: no model is set.
        CovidlitError: see `covidlit.quantify.many.quantify`.
    """
    models = settings.FOLDER.models_of(disease)
    model = labeller_of(models.lesions)
    place = measured_folder(patient, disease)
    out = place.parent
    out.mkdir(parents=True, exist_ok=True)
    # Two jobs of a patient, of two uploads: the second finds what the first has done.
    with FileLock(out / ".lock"):
        say("measuring", 0.1)
        remove_unfinished(out)
        also = _still_waiting(also)
        manifest = _manifest(patient, out)
        corrections = corrections_of(patient, disease, also)
        labeller: Labeller = CorrectedLabeller(model, corrections)
        if not disease.has_all_classes:
            # Corrections too: a class may have been theirs when they were drawn.
            labeller = KeptClasses(labeller, frozenset(disease.values), disease.name)
        severity = severity_model(patient, models.severity, out)
        results = quantify(
            manifest, labeller, place, absent_as_empty=True, severity=severity,
            corrections=corrections_made(patient, disease, also),
        )  # fmt: skip
        say("storing", 0.9)
        # Versions are counted over all diseases of a patient, who may be measured for another now.
        with FileLock(settings.FOLDER.results / patient.pseudonym / ".lock"):
            bring(patient, disease, results, place, corrections)
            keep_scores(patient, disease, finished(place).values())
    return results


def refused(patient: Patient, disease: Disease) -> dict[str, str]:
    """Why scans of a patient could not be measured for a disease when it was tried last."""
    path = measured_folder(patient, disease) / SCANS_TABLE
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return {}
    rows = rows[rows["status"] == "refused"]
    return dict(zip(rows["scan_id"], rows["reason"], strict=True))


def _still_waiting(correction: Correction | None) -> Correction | None:
    """A correction that another job has not measured meanwhile, and nobody has taken back."""
    if correction is None:
        return None
    rows = Correction.objects.filter(labelling=None, saved_at__isnull=False)
    rows = rows.select_related("scan__patient__centre", "corrects", "by")
    return rows.filter(pk=correction.pk).first()


def labeller_of(model: str) -> Labeller:
    """What labels new scans: a folder of masks, or a trained network.

    Args:
        model: of the disease, or `[models] lesions` of `platform.toml`.

    Raises:
        ConfigError: none is set.
        CheckpointError: it cannot be read.
    """
    if not model:
        raise ConfigError(
            "no model labels lesions here, so scans are shown without.",
            where="[models] lesions in platform.toml",
            fix="set it to a run of model=maskrcnn, then start the job again.",
        )
    if model.startswith(MASKS):
        return MaskLabeller(Path(model.removeprefix(MASKS)), {})
    # The network takes seconds to import.
    from covidlit.quantify.network import NetworkLabeller

    return NetworkLabeller(Path(model))


def _manifest(patient: Patient, out: Path) -> Path:
    """The patient's scans as `covidlit quantify` takes them."""
    rows = [
        {
            "patient_id": patient.pseudonym,
            "scan_id": scan.scan_id,
            "path": str(source_files(scan)),
            "class_name": "",
            "acquisition_date": scan.acquired_on.isoformat() if scan.acquired_on else "",
        }
        for scan in patient.scans.all()
    ]
    path = out / MANIFEST
    write_table(pd.DataFrame(rows), path)
    return path
