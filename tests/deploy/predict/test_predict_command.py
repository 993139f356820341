"""What `covidlit predict` says, writes and refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from predict_runs import CONFIG, N_SCANS, held_out_rows, make_task, save_run
from typer.testing import CliRunner

from covidlit.checkpoints.file import update_record
from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.deploy.predict import NO_POINT, predict
from covidlit.errors import CheckpointError, ConfigError, CovidlitError

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
    table = held_out_rows(read_manifest(manifest)).head(3)
    for name, said in {"some": [True, False, None], "none": [False, False, None]}.items():
        table["synthetic"] = pd.array(said, dtype="boolean")
        written = write_manifest(table, tmp_path / f"{name}.csv")
        printed = _printed(checkpoint, written, tmp_path / "scores.parquet")
        assert ("1 of 3 scans is synthetic" in printed) == (name == "some")
        scored = pd.read_parquet(tmp_path / "scores.parquet")["synthetic"]
        assert [None if pd.isna(value) else bool(value) for value in scored] == said


def test_the_folder_of_a_run_stands_for_its_model(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    shutil.copy(checkpoint, run / "checkpoints" / "last.ckpt")
    of_run, of_file = (predict(model, folder / "case2") for model in (run, checkpoint))
    assert of_run["score"].tolist() == of_file["score"].tolist()
    assert of_run["score"].notna().all()


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
    for wrong in (0, 10**30, 1.5):
        with pytest.raises(ConfigError, match="batch_size"):
            predict(checkpoint, tmp_path, batch_size=wrong)  # type: ignore[arg-type]
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
    assert notes["gap"].startswith("missing_slice overridden by --override: 1 slice missing")
    by_run = "too_few_slices overridden by the run that trained the network"
    assert notes["few"].startswith(f"{by_run}: 1 slice, fewer than 12")
    assert notes["whole"] == NO_POINT
    (row,) = (line for line in done.output.splitlines() if written.loc["gap", "scan_id"] in line)
    assert "missing_slice overridden" in row
    assert by_run in " ".join(done.output.split())
    assert "1 of 3 scans would have been refused: missing_slice overridden" in done.output


def test_archives_and_chosen_acquisitions_are_told_by_the_command(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    shutil.make_archive(str(packed / "study"), "zip", folder / "case2")
    for path in (packed, packed / "study.zip"):
        command = ["predict", str(checkpoint), str(path), "--out", str(tmp_path / "s.csv")]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1, done.output
        (row,) = pd.read_csv(tmp_path / "s.csv").to_dict("records")
        assert (row["status"], "unzip study.zip" in row["reason"]) == ("refused", True)
    twice = tmp_path / "twice"
    for number in (1, 2):
        for path in (folder / "case2").rglob("*"):
            if path.is_file():
                ds = pydicom.dcmread(path)
                ds.AcquisitionNumber = number
                ds.RescaleIntercept = float(ds.RescaleIntercept) + 50 * (number - 1)
                (twice / str(number)).mkdir(parents=True, exist_ok=True)
                ds.save_as(twice / str(number) / path.name)
    command = ["predict", str(checkpoint), str(twice), "--out", str(tmp_path / "s.csv")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "several_acquisitions" in pd.read_csv(tmp_path / "s.csv")["reason"][0]
    scores = []
    for number in (1, 2):
        option = ["--override", f"several_acquisitions:{number}"]
        done = CliRunner().invoke(app, [*command, *option])
        assert done.exit_code == 0, done.output
        scores.append(pd.read_csv(tmp_path / "s.csv")["score"][0])
    alone = predict(checkpoint, folder / "case2")["score"][0]
    assert scores[0] == pytest.approx(alone, abs=1e-9)
    assert scores[1] != scores[0]
