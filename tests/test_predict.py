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
from typer.testing import CliRunner

import covidlit.deploy.preparation
from covidlit.checkpoints import run_record, update_record
from covidlit.cli import app
from covidlit.cohort.build import manifest_from_dicom
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.splits import centre_held_out
from covidlit.cohort.synthetic import make_cohort
from covidlit.datamodules import VolumeDataModule
from covidlit.errors import CheckpointError, ConfigError, CovidlitError
from covidlit.predict import predict
from covidlit.scan_files import load_scan, write_nifti
from covidlit.tasks import VolumeClassification

GEOMETRY = {"spacing": [20.0, 24.0, 24.0], "size": [16, 16, 16]}
CONFIG: dict[str, Any] = {
    "data": {"geometry": GEOMETRY, "window": [-1000, 400], "override_checks": []},
    "model": {"name": "csacnet"},
    "trainer": {"precision": "32-true"},
}
N_SCANS = 5


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few synthetic scans as DICOM: one centre to train on, one held out."""
    root = tmp_path_factory.mktemp("cohort")
    cohort = make_cohort(
        root, preset="mild", n_scans=12, seed=0, matrix=32, thickness_mm=5.0, n_jobs=1
    )
    table = manifest_from_dicom(cohort.dicom, cohort.labels, folder=root, inclusion=None).manifest
    table["centre"] = ["train"] * (len(table) - N_SCANS) + ["test"] * N_SCANS
    return write_manifest(table, root / "manifest.csv")


def _test_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["centre"] == "test"]


def save_run(
    task: VolumeClassification, config: dict[str, Any], path: Path, *, synthetic: bool = False
) -> Path:
    task.record = run_record(config, split_hash="abc", synthetic=synthetic)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path


def make_task(n_classes: int = 2) -> VolumeClassification:
    torch.manual_seed(0)
    task = VolumeClassification(
        net={"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False},
        n_classes=n_classes,
    )
    # Statistics as after training: in training mode scores would depend on the batch.
    task.train()
    for _ in range(3):
        task(torch.rand(4, 1, 16, 16, 16))
    return task.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(make_task(), CONFIG, tmp_path_factory.mktemp("run") / "best.ckpt")


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


@pytest.fixture(scope="module")
def folder(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test scans as DICOM in one folder, one of them broken, and a damaged file."""
    root = tmp_path_factory.mktemp("dicom")
    table = read_manifest(manifest)
    for number, row in enumerate(_test_rows(table).itertuples()):
        shutil.copytree(Path(table.attrs["root"], str(row.path)), root / f"case{number}")
    victim = sorted(p for p in (root / "case0").rglob("*") if p.is_file())
    victim[len(victim) // 2].unlink()
    (root / "other").mkdir()
    (root / "other" / "empty.dcm").touch()
    return root


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
    whole = VolumeClassification.scores

    def scores(logits: torch.Tensor) -> torch.Tensor:
        found = whole(logits)
        found[1, 0] = torch.inf
        return found

    monkeypatch.setattr(VolumeClassification, "scores", staticmethod(scores))
    shutil.copytree(folder / "case2", tmp_path / "two" / "a")
    shutil.copytree(folder / "case3", tmp_path / "two" / "b")
    table = predict(checkpoint, tmp_path / "two", batch_size=2)
    assert table["status"].tolist() == ["ok", "refused"]
    assert table["score"].isna().tolist() == [False, True]
    assert table["predicted_class"].isna().tolist() == [False, True]


NO_PATIENTS = "trained on synthetic images: its scores mean nothing for patients"


def _printed(checkpoint: Path, path: Path, out: Path) -> str:
    done = CliRunner().invoke(app, ["predict", str(checkpoint), str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_network_of_synthetic_images_is_called_so(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    trained = save_run(make_task(), CONFIG, tmp_path / "best.ckpt", synthetic=True)
    assert NO_PATIENTS in _printed(trained, folder / "case2", out)
    assert pd.read_csv(out)["trained_on_synthetic"].tolist() == [True]
    assert NO_PATIENTS not in _printed(checkpoint, folder / "case2", out)
    assert pd.read_csv(out)["trained_on_synthetic"].tolist() == [False]


def test_a_checkpoint_that_does_not_say_counts_as_not_synthetic(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    del content["covidlit"]["record"]["synthetic"]
    torch.save(content, tmp_path / "old.ckpt")
    table = predict(tmp_path / "old.ckpt", folder / "case2")
    assert table["trained_on_synthetic"].tolist() == [False]


def test_synthetic_scans_of_a_manifest_are_called_so(
    checkpoint: Path, manifest: Path, tmp_path: Path
) -> None:
    table = _test_rows(read_manifest(manifest)).head(3)
    for name, said in {"some": [True, False, None], "none": [False, False, None]}.items():
        table["synthetic"] = pd.array(said, dtype="boolean")
        written = write_manifest(table, tmp_path / f"{name}.csv")
        printed = _printed(checkpoint, written, tmp_path / "scores.parquet")
        assert ("1 of 3 scans are synthetic" in printed) == (name == "some")
        scored = pd.read_parquet(tmp_path / "scores.parquet")["synthetic"]
        assert [None if pd.isna(value) else bool(value) for value in scored] == said


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("scores.xlsx", "must end in .csv or .parquet"),
        ("file/scores.csv", "Not a directory"),
        ("folder.csv", "Is a directory"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_any_work(
    out: str, reason: str, tmp_path: Path
) -> None:
    """The checkpoint is missing too, which is found out first thing in the work."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    command = ["predict", str(tmp_path / "none.ckpt"), str(tmp_path), "--out", str(tmp_path / out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert out in done.output
    assert reason in done.output
    assert "none.ckpt" not in done.output


def test_the_command_writes_the_table(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    command = ["predict", str(checkpoint), str(folder), "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "4 scans scored, 2 refused" in " ".join(done.output.split())
    written = pd.read_csv(out)
    expected = predict(checkpoint, folder)
    assert written["scan_id"].dropna().tolist() == expected["scan_id"].tolist()[:5]
    np.testing.assert_allclose(written["score"], expected["score"].astype(float))
    strict = CliRunner().invoke(app, [*command, "--strict"])
    assert strict.exit_code == 2


def test_two_workers_of_dask_give_the_same_table(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="covidlit[dask] is not installed")
    out = tmp_path / "scores.csv"
    command = ["predict", str(checkpoint), str(folder), "--out", str(out)]
    done = CliRunner().invoke(app, [*command, "--backend", "dask", "--jobs", "2"])
    assert done.exit_code == 0, done.output
    found, expected = pd.read_csv(out), predict(checkpoint, folder)
    assert len(found) > N_SCANS  # the refused ones too
    for name in ("scan_id", "status", "reason"):
        assert found[name].fillna("").tolist() == expected[name].fillna("").tolist()
    assert found["score"].to_numpy() == pytest.approx(
        expected["score"].to_numpy(float, na_value=np.nan), abs=1e-6, nan_ok=True
    )


def test_what_cannot_be_predicted_is_said(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CovidlitError, match="no such file or folder"):
        predict(checkpoint, tmp_path / "none")
    with pytest.raises(CovidlitError, match="no CT scan"):
        predict(checkpoint, tmp_path)
    with pytest.raises(ConfigError, match="batch_size"):
        predict(checkpoint, tmp_path, batch_size=0)
    with pytest.raises(ConfigError, match="no device 'gpu7'"):
        predict(checkpoint, tmp_path, device="gpu7")
    with pytest.raises(ConfigError, match="no device 'meta'"):
        predict(checkpoint, tmp_path, device="meta")
    with pytest.raises(CheckpointError, match="no such file"):
        predict(tmp_path / "none.ckpt", tmp_path)
    (tmp_path / "text.nii.gz").write_text("not an image")
    table = predict(checkpoint, tmp_path / "text.nii.gz")
    assert table["status"].tolist() == ["refused"]
    assert "cannot be read" in table["reason"].iloc[0]


def test_the_operating_point_is_shown_and_kept(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(checkpoint, tmp_path / "best.ckpt"))
    update_record(copy, operating_point=0.4375)
    out = tmp_path / "scores.csv"
    assert "positive from a score of 0.438 on" in _printed(copy, folder / "case2", out)
    assert pd.read_csv(out)["operating_point"].tolist() == [0.4375]
    assert "has no operating point" in _printed(checkpoint, folder / "case2", out)
    assert pd.read_csv(out)["operating_point"].isna().all()
    config = {**CONFIG, "label_rule": {"classes": ["np", "cap", "covid"]}}
    several = save_run(make_task(n_classes=3), config, tmp_path / "three.ckpt")
    assert "Class: the most probable one" in _printed(several, folder / "case2", out)


@pytest.mark.parametrize("columns", [60, 80])
def test_the_printed_table_hides_nothing_on_a_narrow_terminal(
    columns: int, checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    name = "a_folder_with_quite_a_long_name_of_its_own/series_of_a_patient"
    shutil.copytree(folder / "case2", tmp_path / "scans" / name)
    out = tmp_path / "scores.csv"
    command = ["predict", str(checkpoint), str(tmp_path / "scans"), "--out", str(out)]
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, command)
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("│")]
    assert max(map(len, lines)) <= columns
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    scan, score = ("".join(column) for column in list(zip(*cells, strict=True))[:2])
    (row,) = pd.read_csv(out).itertuples()
    assert scan == f"{row.scan_id}{name}"
    assert score == f"{row.score:.3f}"


def test_an_overridden_check_is_told_of_in_the_scan_s_row(folder: Path, tmp_path: Path) -> None:
    """`gap` lacks a slice, which the user lets pass; `few` has one slice, as the run allows."""
    few = tmp_path / "scans" / "few"
    shutil.copytree(folder / "case0", tmp_path / "scans" / "gap")
    shutil.copytree(folder / "case2", tmp_path / "scans" / "whole")
    few.mkdir()
    for file in sorted((folder / "case3").iterdir())[:1]:
        shutil.copy(file, few)
    data = {**CONFIG["data"], "override_checks": ["too_few_slices"]}
    run = save_run(make_task(), {**CONFIG, "data": data}, tmp_path / "best.ckpt")
    out = tmp_path / "scores.csv"
    command = ["predict", str(run), str(tmp_path / "scans"), "--override", "missing_slice"]
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, [*command, "--out", str(out)])
    written = pd.read_csv(out).set_index("path")
    notes = written["notes"]
    assert notes["gap"].startswith("missing_slice overridden by --override: 1 slice(s) missing")
    by_run = "too_few_slices overridden by the run that trained the network"
    assert notes["few"].startswith(f"{by_run}: 1 slice, fewer than 12")
    assert pd.isna(notes["whole"])
    (row,) = (line for line in done.output.splitlines() if written.loc["gap", "scan_id"] in line)
    assert "missing_slice overridden" in row
    assert by_run in " ".join(done.output.split())
    assert "1 of 3 scans would have been refused: missing_slice overridden" in done.output
