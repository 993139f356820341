"""The job that measures a correction, which makes it the next version of its scan."""

from __future__ import annotations

from django.conf import settings

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Right
from covidlit.platform.correcting.models import Correction
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.measuring.measure import measure_patient


def correct(job: Job, say: Say) -> None:
    """Measure a saved correction; done again it finds its version and does nothing.

    Nor does it where the correction was taken back or dropped, or is measured by another job.

    Raises:
        CovidlitError: whoever asked for it may not any more, or the labels cannot be measured.
    """
    rows = Correction.objects.select_related("scan__patient__centre", "corrects", "by")
    correction = rows.filter(pk=job.arguments["correction"]).first()
    if correction is None or correction.job_id != job.pk or correction.labelling_id is not None:
        return
    scan = correction.scan
    may = job.owner is not None and (
        Correction.objects.seen_by(job.owner, Right.CORRECT).filter(pk=correction.pk).exists()
    )
    if not may:
        raise CovidlitError(
            "whoever asked for it may not correct this scan now.",
            where=f"correction of scan {scan.scan_id}",
            fix="have somebody who may open the scan and measure it again.",
        )
    disease = settings.FOLDER.diseases.get(correction.disease)
    if disease is None:
        raise CovidlitError(
            f"there is no disease {correction.disease!r} any more.",
            where=f"correction of scan {scan.scan_id}", fix="put its file back, then try again.",
        )  # fmt: skip
    results = measure_patient(scan.patient, disease, say, correction)
    own = results.scans[results.scans["scan_id"] == scan.scan_id]
    if "ok" not in set(own["status"]):
        reason = "; ".join(own["reason"].dropna().astype(str)) or "the scan was not found."
        raise CovidlitError(
            f"the corrected labels cannot be measured: {reason}",
            where=f"scan {scan.scan_id}",
            fix="take the correction back to a draft, and mend it.",
        )
