"""Scans that are really measured are scored: in the database, on the page and in the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import table_models
from correcting_world import ward
from django.conf import settings
from django.urls import reverse

from covidlit.deploy.tables.model import load_table_model
from covidlit.deploy.tables.predict_rows import predict_rows
from covidlit.platform.accounts.rights import Role
from covidlit.platform.clinical.models import SeverityScore

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_a_patient_is_scored_as_the_command_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = table_models.severity_model(tmp_path, "factors", table_models.IMAGING)
    own = ward(monkeypatch, with_objects=True)
    assert not SeverityScore.objects.exists()
    whole = settings.FOLDER.settings
    models = whole.models.model_copy(update={"severity": str(model)})
    monkeypatch.setattr(settings.FOLDER, "settings", whole.model_copy(update={"models": models}))
    before = [scan.labellings.get() for scan in own.scans]
    own.measure()
    assert [scan.labellings.get() for scan in own.scans] == before  # scored, not measured again
    table = pd.read_parquet(
        settings.FOLDER.results
        / own.patient.pseudonym
        / "measured/covid-19/quantified"
        / "factors.parquet"
    )
    table.to_csv(tmp_path / "factors.csv", index=False)
    wanted = predict_rows(load_table_model(model), tmp_path / "factors.csv").table
    score_of = dict(zip(wanted["scan_id"], wanted["score"], strict=True))
    scores = SeverityScore.objects.all()
    assert len(scores) == len(own.scans)
    for each in scores:
        row = each.severity["row"]
        assert row["score"] == pytest.approx(score_of[row["scan_id"]], rel=1e-5)
    own.measure()
    assert SeverityScore.objects.count() == len(own.scans)  # said once

    _, client = own.person("rita", Role.READER)
    page = client.get(reverse("patient", args=[own.patient.pseudonym])).content.decode()
    newest = score_of[own.scans[-1].scan_id]
    assert f"<strong>{newest:.3f}</strong>" in page
    assert "What made the score" in page
    report = client.get(reverse("report", args=[own.patient.pseudonym])).content.decode()
    assert f"<b>{newest:.3f}</b>" in report
