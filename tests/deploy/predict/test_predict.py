"""`covidlit predict` gives new scans the scores that the run's own test gave."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from predict_runs import CONFIG, GEOMETRY, N_SCANS, make_task, save_run

import covidlit.deploy.preparation
from covidlit.checkpoints.file import update_record
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.splits import centre_held_out
from covidlit.datamodules import VolumeDataModule
from covidlit.deploy.predict import predict
from covidlit.errors import CovidlitError
from covidlit.scans.images import write_nifti
from covidlit.tasks import VolumeClassification
from covidlit.tasks.classifier import ClassifierMixin


@pytest.fixture(scope="module")
def tested(checkpoint: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Scores by scan_id as the run itself gets them: cache, datamodule, Lightning."""
    datamodule = VolumeDataModule(
        manifest=str(manifest),
        cache_dir=str(tmp_path_factory.mktemp("cache")),
        split=lambda table: centre_held_out(table, ["test"], validation_fraction=0.0),
        geometry=GEOMETRY,
        label_rule=_AnyLabel(),
        batch_size=3,
        n_jobs=1,
    )
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False
    )
    task = VolumeClassification.load_from_checkpoint(checkpoint)
    batches = trainer.predict(task, datamodule.dataloader_of("test"))
    assert batches is not None
    ids = [name for batch in batches for name in batch["scan_id"]]
    scores = torch.cat([batch["score"] for batch in batches]).double().tolist()
    return dict(zip(ids, scores, strict=True))


class _AnyLabel:
    n_classes = 2

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        return (manifest["class_name"] == "covid").astype("Int64")


def test_a_manifest_gets_the_runs_own_scores(checkpoint: Path, manifest: Path, tested: Any) -> None:
    assert len(tested) == N_SCANS
    assert len(set(tested.values())) == N_SCANS  # the scores tell the scans apart
    table = predict(checkpoint, manifest, batch_size=4).set_index("scan_id")
    assert (table["status"] == "ok").all()
    for scan_id, score in tested.items():
        assert table.loc[scan_id, "score"] == pytest.approx(score, abs=1e-6)
    assert table["predicted_class"].isna().all()


def test_a_dicom_folder_gets_the_same_scores_and_lists_what_is_refused(
    checkpoint: Path, folder: Path, tested: Any
) -> None:
    table = predict(checkpoint, folder)
    scored = table[table["status"] == "ok"]
    assert len(scored) == N_SCANS - 1
    for row in scored.itertuples():
        assert row.score == pytest.approx(tested[row.scan_id], abs=1e-6)
        assert str(row.series_uid).startswith("2.25.")
    refused = table[table["status"] == "refused"].set_index("path")
    assert set(refused.index) == {"case0", "other/empty.dcm"}
    assert "missing" in refused.loc["case0", "reason"]
    assert refused["score"].isna().all()
    with pytest.raises(CovidlitError, match=r"2 of 6 .*refused.*case0"):
        predict(checkpoint, folder, strict=True)
    mended = predict(checkpoint, folder, override=["missing_slice"]).set_index("path")
    assert mended.loc["case0", "status"] == "ok"


def test_a_run_s_least_number_of_slices_holds_for_its_predictions(
    folder: Path, tmp_path: Path
) -> None:
    data = {**CONFIG["data"], "min_slices": 10_000}
    strict = save_run(make_task(), {**CONFIG, "data": data}, tmp_path / "strict.ckpt")
    table = predict(strict, folder / "case2")
    assert table["status"].tolist() == ["refused"]
    assert "10000" in table.loc[0, "reason"].replace(",", "")


def test_one_image_file_gets_the_same_score(
    checkpoint: Path, folder: Path, tested: Any, tmp_path: Path
) -> None:
    scan = load_scan(folder / "case2")
    write_nifti(scan.hu, scan.affine, tmp_path / "case2.nii.gz")
    dicom = predict(checkpoint, folder / "case2")
    image = predict(checkpoint, tmp_path / "case2.nii.gz")
    assert image["path"].tolist() == ["case2.nii.gz"]
    np.testing.assert_allclose(image["score"], dicom["score"], atol=1e-6)
    found = predict(checkpoint, tmp_path)  # a folder of images
    np.testing.assert_array_equal(found["score"], image["score"])


def test_the_operating_point_of_the_checkpoint_decides(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    scores = predict(checkpoint, folder)["score"].dropna()
    point = float(scores.median())
    copy = Path(shutil.copy(checkpoint, tmp_path / "best.ckpt"))
    update_record(copy, operating_point=point)
    table = predict(copy, folder).dropna(subset="score")
    expected = ["positive" if score >= point else "negative" for score in table["score"]]
    assert table["predicted_class"].tolist() == expected
    assert len(set(expected)) == 2


def test_more_classes_have_a_score_each(folder: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "label_rule": {"classes": ["np", "cap", "covid"]}}
    checkpoint = save_run(make_task(n_classes=3), config, tmp_path / "best.ckpt")
    row = predict(checkpoint, folder / "case3").iloc[0]
    scores = [row[f"score_{name}"] for name in ("np", "cap", "covid")]
    assert sum(scores) == pytest.approx(1, abs=1e-6)
    assert row["score"] == row["score_covid"]
    assert row["predicted_class"] == ["np", "cap", "covid"][int(np.argmax(scores))]


def test_a_fault_on_one_scan_does_not_cost_the_others(
    checkpoint: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = covidlit.deploy.preparation.prepare_scan
    odd = []

    def prepare(*arguments: Any) -> Any:
        odd.append(not odd)
        if odd[-1]:
            raise ZeroDivisionError("ANONYM^PATIENT")
        return whole(*arguments)

    monkeypatch.setattr("covidlit.deploy.preparation.prepare_scan", prepare)
    table = predict(checkpoint, folder)
    assert (table["status"] == "ok").sum() == N_SCANS - 2
    (reason,) = table["reason"].dropna()[table["reason"].dropna().str.contains("fault")]
    assert "ZeroDivisionError at test_predict.py" in reason
    assert "ANONYM" not in reason


@pytest.mark.parametrize("classes", [None, ["np", "cap", "covid"]])
def test_a_score_that_is_no_number_is_never_a_negative_scan(
    classes: list[str] | None, folder: Path, tmp_path: Path
) -> None:
    task = make_task(n_classes=3 if classes else 2)
    with torch.no_grad():
        next(task.parameters()).fill_(torch.nan)
    config = {**CONFIG, "label_rule": {"classes": classes}}
    checkpoint = save_run(task, config, tmp_path / "best.ckpt")
    update_record(checkpoint, operating_point=0.5)
    table = predict(checkpoint, folder / "case2")
    assert table["status"].tolist() == ["refused"]
    assert table["reason"].tolist() == ["the network gave no finite score"]
    assert table["predicted_class"].isna().all()
    assert table.filter(like="score").isna().all(axis=None)
    with pytest.raises(CovidlitError, match="no finite score"):
        predict(checkpoint, folder / "case2", strict=True)


def test_one_class_without_a_finite_score_is_enough(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**CONFIG, "label_rule": {"classes": ["np", "cap", "covid"]}}
    checkpoint = save_run(make_task(n_classes=3), config, tmp_path / "best.ckpt")
    whole = ClassifierMixin.scores

    def scores(logits: torch.Tensor) -> torch.Tensor:
        found = whole(logits)
        found[1, 0] = torch.inf
        return found

    monkeypatch.setattr(ClassifierMixin, "scores", staticmethod(scores))
    shutil.copytree(folder / "case2", tmp_path / "two" / "a")
    shutil.copytree(folder / "case3", tmp_path / "two" / "b")
    table = predict(checkpoint, tmp_path / "two", batch_size=2)
    assert table["status"].tolist() == ["ok", "refused"]
    assert table["score"].isna().tolist() == [False, True]
    assert table["predicted_class"].isna().tolist() == [False, True]
