"""The demo: its severity model is trained by the command that people use, and is found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from covidlit.deploy.tables.model import load_table_model
from covidlit.explain.tables.of_scan import SeverityOfScans
from covidlit.platform import demo
from covidlit.platform.folder import PlatformFolder, make_platform_folder
from covidlit.synthetic.labs import clinical_table
from covidlit.synthetic.presets import plan_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("demo")
    assert demo._learn(found).wait() == 0, (found / demo.LOG).read_text()[-2000:]
    return found


def test_its_severity_model_says_that_it_is_of_synthetic_patients(root: Path) -> None:
    record = load_table_model(root / demo.SEVERITY).record
    assert record.synthetic
    assert record.preprocess.kind == "clinical"


def test_its_model_tells_severe_patients_of_the_demo_from_others(root: Path) -> None:
    shown = clinical_table(plan_cohort("severity", 4 * demo.N_SCANS, 0))
    learnt = clinical_table(plan_cohort("severity", demo.LEARNT_FROM, demo.LEARNT_SEED))
    lab = "albumin_g_per_l"
    assert set(shown[lab].dropna()) - set(learnt[lab].dropna()), "no other values to score"
    path = root / "shown.csv"
    shown.drop(columns="synthetic").to_csv(path, index=False)
    model = SeverityOfScans(root / demo.SEVERITY, path)
    rows = []
    for row in shown.drop_duplicates("patient_id").to_dict("records"):
        scan = {"patient_id": row["patient_id"], "scan_id": "s", "acquisition_date": row["date"]}
        found = model.of(scan).row
        assert found["score_low"] <= found["score"] <= found["score_high"]
        assert found["trained_on_synthetic"]
        rows.append((row["severity"] in ("severe", "critical"), found["score"]))
    table = pd.DataFrame(rows, columns=["severe", "score"])
    by_class = [own["score"].to_numpy() for _, own in table.groupby("severe")]
    wins = (by_class[1][:, None] > by_class[0][None, :]).mean()  # the area under the ROC curve
    assert wins > 0.65


def test_a_failed_training_leaves_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "EPOCHS", "many")
    assert demo._learn(tmp_path).wait() != 0
    assert "many" in (tmp_path / demo.LOG).read_text()


def test_its_models_are_found_from_wherever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # as `make platform-demo` names it: from where one stands
    root = Path("made-here")
    make_platform_folder(root, "demo")
    demo._set_models(root, severity=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    models = PlatformFolder(tmp_path / root).settings.models
    own = tmp_path / root
    assert models.lesions == f"masks:{own / demo.COHORT / 'truth'}"
    assert models.severity == str(own / demo.SEVERITY)
