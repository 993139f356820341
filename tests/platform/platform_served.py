"""A platform filled and served: `python platform_served.py FOLDER PORT ARCHIVE`."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path

DESTINATION = """
[[destinations]]
name = "pacs"
kind = "dicomweb"
url = "{}"
"""


def main(root: Path, port: str, archive: str) -> None:
    """Fill a new platform, then become its server."""
    from covidlit.platform.folder import SETTINGS_FILE, make_platform_folder
    from covidlit.platform.setup import prepare

    folder = make_platform_folder(root)
    with (root / SETTINGS_FILE).open("a") as file:
        file.write(DESTINATION.format(archive))
    folder = type(folder)(root)
    prepare(folder)
    from platform_world import PASSWORD, hospital
    from sending_world import with_objects

    from covidlit.platform.accounts.people import give_role, make_user
    from covidlit.platform.accounts.rights import Role
    from covidlit.platform.api.tokens import make_token, scopes_of
    from covidlit.platform.clinical.models import ClinicalRow, SeverityScore
    from covidlit.platform.patients.report import report_path
    from covidlit.platform.registry.models import Patient

    own = hospital("north")
    names = [f"Q{number:03}" for number in range(250)]
    Patient.objects.bulk_create(Patient(pseudonym=name, centre=own.centre) for name in names)
    tokens = {}
    for role in Role:
        user = make_user(role.name.lower(), PASSWORD)
        give_role(user, role)
        scopes = [s for s in scopes_of(user) if s != "audit"]
        tokens[role.name] = make_token(user, "test", scopes, 1)[1]
    (root / "tokens.json").write_text(json.dumps(tokens))
    labelling = with_objects(own.scans[1])
    labelling.corrected_by = user
    labelling.save()
    severity = {"row": {"score": 0.8, "score_low": 0.7, "score_high": 0.9}, "values": [],
                "lines": [], "positive": "severe illness"}  # fmt: skip
    SeverityScore.objects.create(labelling=labelling, severity=severity)
    own.table.features = [
        {"name": "crp_mg_per_l", "group": "", "description": "CRP", "unit": "mg/L", "source": "",
         "worse": "high"}
    ]  # fmt: skip
    own.table.save()
    for day, value in ((1, 12.5), (9, 80.0)):
        ClinicalRow.objects.create(
            table=own.table, patient=own.patient, date=date(2020, 3, day),
            values={"crp_mg_per_l": value, "age": 61},
        )  # fmt: skip
    path = report_path(own.patient, folder.diseases["covid-19"])
    path.parent.mkdir(parents=True)
    path.write_text("<p>a report</p>")
    server = ["-m", "gunicorn", "covidlit.platform.wsgi", "--bind", f"127.0.0.1:{port}"]
    os.execv(sys.executable, [sys.executable, *server, "--threads", "4"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
