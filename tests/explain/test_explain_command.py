"""`covidlit explain`: files in the source's geometry, one scale, a page, and the checks of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk  # noqa: N813 (its own convention)
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from typer.testing import CliRunner

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.checkpoints.weights import weights_hash
from covidlit.cli.app import app
from covidlit.cohort import Split
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.deploy.predict import predict
from covidlit.errors import CovidlitError
from covidlit.explain import ExplainError, HeatmapWriter, explain_image
from covidlit.explain.case_pictures import CasePictures
from covidlit.explain.overlay import hottest_slices
from covidlit.explain.predicted import heatmaps_of_scored
from covidlit.explain.run_sources import datamodule_of
from covidlit.papers.csacnet.galleries import paper_galleries
from covidlit.preprocess import prepare_scan
from covidlit.runs.steps import train_and_evaluate
from covidlit.scans.images import write_nifti
from covidlit.settings.tree import config_dir
from covidlit.tasks.load import load_task


@pytest.fixture(scope="module")
def run(tiny_overrides: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch with heatmaps in its report."""
    folder = tmp_path_factory.mktemp("explain") / "run"
    overrides = [
        *(o for o in tiny_overrides if o != "heatmaps=false"), "name=test", "model=csacnet",
        "model.task.net.width=4", "split.test_centres=[centre_4]", "callbacks=last_epoch",
    ]  # fmt: skip
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides)
    train_and_evaluate(OmegaConf.to_container(config, resolve=True), folder)
    return folder


@pytest.fixture(scope="module")
def truth(tiny_data: Path) -> Path:
    return Path((tiny_data / "manifest_path").read_text()).parent / "truth"


@pytest.fixture(scope="module")
def written(run: Path, truth: Path) -> Path:
    out = run.parent / "out"
    done = CliRunner().invoke(
        app, ["explain", str(run), "--out", str(out), "--truth", str(truth), "--slices", "2"]
    )
    assert done.exit_code == 0, done.output
    assert "Lower weights in scans without COVID-19" in done.output
    return out


def sources(tiny_data: Path) -> pd.Series:
    """Folder of each scan of the tiny cohort by scan_id."""
    manifest = read_manifest((tiny_data / "manifest_path").read_text())
    return manifest.set_index("scan_id")["path"].map(Path)


def test_the_report_of_the_run_shows_heatmaps(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert '<section id="heatmaps">' in page
    assert page.count("data:image/png;base64,") >= 2
    assert "was not checked for this network" in page
    assert "Share of heat inside the lungs: " in page
    record = read_record(load_checkpoint(run / "checkpoints" / "last.ckpt"), "")
    assert list(record.heat_scales) == ["guided:module3"]
    assert record.operating_point is not None  # the scale did not cost it


def test_the_scale_is_that_of_positive_scans_which_were_not_tested_on(
    run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    manifest = read_manifest((tiny_data / "manifest_path").read_text()).set_index("scan_id")
    parts = pd.Series(Split.load(run / "split.json").parts)
    covid = manifest.index[manifest["class_name"] == "covid"]
    chosen = [scan_id for scan_id in covid if parts.get(scan_id) == "validation"]
    chosen = chosen or [scan_id for scan_id in covid if parts.get(scan_id) == "train"]
    writer = HeatmapWriter(checkpoint, tmp_path)
    folders = sources(tiny_data)
    heats = [writer.explain(prepare_scan(load_scan(folders[name]), writer.geometry))
             for name in chosen]  # fmt: skip
    maxima = [heat.maximum for heat in heats]
    assert writer.scale == pytest.approx(np.quantile(maxima, 0.75), rel=1e-4)


def test_every_test_scan_is_there_with_its_own_score(run: Path, written: Path) -> None:
    table = pd.read_csv(written / "heatmaps.csv").set_index("scan_id")
    predictions = pd.read_parquet(run / "predictions.parquet").set_index("scan_id")
    test = predictions[predictions["part"] == "test"]
    assert set(table.index) == set(test.index)
    np.testing.assert_allclose(table["score"], test["score"].reindex(table.index), atol=1e-5)
    assert table["scale"].nunique() == 1


def test_the_nifti_lies_where_the_source_series_lies(written: Path, tiny_data: Path) -> None:
    row = pd.read_csv(written / "heatmaps.csv").nlargest(1, "max").iloc[0]
    image = sitk.ReadImage(str(written / row["nifti"]))
    folder = sources(tiny_data)[row["scan_id"]]
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    series = sitk.ReadImage(names)
    assert image.GetSize() == series.GetSize()
    x, y, z = series.GetSize()
    for index in ((0, 0, 0), (x - 1, 0, z - 1), (x // 2, y - 1, z // 3)):
        point = series.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(
            image.TransformPhysicalPointToContinuousIndex(point)[:2], index[:2], atol=1e-3
        )
        there = image.TransformPhysicalPointToIndex(point)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(there), point, atol=1e-3)
    # Values are absolute: the header's factor undoes the bytes.
    values = sitk.GetArrayFromImage(image)
    assert values.max() <= row["max"] * 1.001
    assert values.max() >= 0.5 * row["max"]  # the maximum may lie between slices of the source
    assert values.max() == pytest.approx(row["nifti_max"], rel=0.01)
    hottest = [float(row[f"nifti_peak_{axis}_mm"]) for axis in "xyz"]
    assert values[image.TransformPhysicalPointToIndex(hottest)[::-1]] == values.max()
    peak = image.TransformPhysicalPointToIndex([float(row[f"peak_{axis}_mm"]) for axis in "xyz"])
    assert values[peak[::-1]] >= 0.5 * values.max()


def test_the_pictures_show_slices_on_the_absolute_scale(run: Path, written: Path) -> None:
    picture = Image.open(next(written.glob("*.png")))
    assert 1150 < picture.size[0] < 1260  # two slices and the colour bar fill the page
    page = (written / "explain.html").read_text()
    # The gallery has a heading for each outcome that the run's own table has, and no other.
    table = pd.read_parquet(run / "predictions.parquet").query("part == 'test'")
    point = read_record(load_checkpoint(run / "checkpoints" / "last.ckpt"), "").operating_point
    words = [f"{right} {called}" for right, called in zip(
        np.where((table["score"] >= point) == (table["target"] == 1), "True", "False"),
        np.where(table["score"] >= point, "positives", "negatives"), strict=True,
    )]  # fmt: skip
    headings = re.findall(r"<h[23]>((?:True|False) (?:positives|negatives))</h[23]>", page)
    assert sorted(headings) == sorted(set(words))
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="data:image/png;base64,' in page
    assert "a bright place is no finding" in page
    assert page.count("What it cannot show") + page.count("Do not read it as a reason") == 1


def test_the_checks_are_in_the_json(run: Path, written: Path) -> None:
    checks = json.loads((written / "localisation.json").read_text())
    table = pd.read_csv(written / "heatmaps.csv")
    positives = checks["positives"]
    assert positives["hit_rate"]["n"] > 0
    chance = table.loc[table["has_lesions"].eq(True), "chance"]
    assert chance.min() <= positives["chance"]["value"] <= chance.max()
    assert 0 <= positives["others_heat"]["value"] <= 1
    assert set(checks) >= {"claim", "sanity", "true_positives", "sentences"}
    content = load_checkpoint(run / "checkpoints" / "last.ckpt")
    assert checks["checkpoint"] == {
        "weights_hash": weights_hash(content["state_dict"]),
        "split_hash": content["covidlit"]["record"]["split_hash"],
    }
    assert table["heat_in_lung"].between(0, 1).all()  # without lesions too
    (said,) = [one for one in checks["sentences"] if one.startswith("Share of heat inside")]
    assert f"{100 * table['heat_in_lung'].mean():.0f}% on average over {len(table)} scans" in said
    assert said in (written / "explain.html").read_text()
    made = {name: checks[name] for name in ("method", "layer", "part", "n_scans")}
    expected = {"method": "guided", "layer": "module3", "part": "test", "n_scans": len(table)}
    assert made == expected


def test_a_second_call_does_the_rest_only(run: Path, written: Path, truth: Path) -> None:
    old = pd.read_csv(written / "heatmaps.csv").head(3)
    before = {name: (written / name).stat().st_mtime_ns for name in old["nifti"]}
    gone = old["nifti"][1]
    (written / gone).unlink()
    command = ["explain", str(run), "--out", str(written), "--truth", str(truth)]
    done = CliRunner().invoke(app, [*command, "--slices", "2", "--limit", "3"])
    assert done.exit_code == 0, done.output
    after = {name: (written / name).stat().st_mtime_ns for name in old["nifti"]}
    assert {name for name in before if before[name] != after[name]} == {gone}
    pd.testing.assert_frame_equal(pd.read_csv(written / "heatmaps.csv"), old, rtol=1e-5)


def test_a_scan_is_explained_as_it_is_predicted(run: Path, tiny_data: Path, tmp_path: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    folder = sources(tiny_data).iloc[0]
    writer = HeatmapWriter(checkpoint, tmp_path, n_slices=1)
    written = writer.write(load_scan(folder), name="scan")
    assert written.heatmap.score == pytest.approx(predict(checkpoint, folder)["score"][0], abs=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.heat.nii.gz", "scan.png"]


@pytest.mark.parametrize("method", ["guided", "layercam", "gradcam", "activation"])
def test_heat_has_no_scale_of_its_own(method: str, run: Path) -> None:
    """Twice the logit is twice the heat: nothing is normalised per scan."""
    task: Any = load_task(run / "checkpoints" / "last.ckpt")
    image = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    one = explain_image(task, image, "subnet1_unit1", method)
    with torch.no_grad():
        task.net.head[-1].weight.mul_(2)
        task.net.head[-1].bias.mul_(2)
    two = explain_image(task, image, "subnet1_unit1", method)
    factor = {"activation": 1.0}.get(method, 2.0)
    np.testing.assert_allclose(two.values, factor * one.values, rtol=1e-4, atol=1e-9)


def test_without_a_scale_nothing_is_drawn(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(run / "checkpoints" / "last.ckpt", tmp_path / "copy.ckpt"))
    with pytest.raises(ExplainError, match="no scale for gradcam at last_pool"):
        HeatmapWriter(copy, tmp_path, layer="last_pool", method="gradcam")
    done = CliRunner().invoke(app, ["explain", str(copy), str(tmp_path), "--layer", "lastpool"])
    assert done.exit_code == 2
    assert "did you mean last_pool" in done.output
    done = CliRunner().invoke(app, ["explain", str(copy)])
    assert done.exit_code == 2
    assert "does not say which scans" in done.output


def test_the_hottest_slices_lie_apart() -> None:
    heat = np.zeros((40, 4, 4), np.float32)
    heat[[10, 11, 12, 30], 2, 2] = [3.0, 4.0, 3.5, 2.0]
    largest, mean = heat.max(axis=(1, 2)), heat.mean(axis=(1, 2))
    assert hottest_slices(largest, mean, 5.0, 2) == [11, 30]
    assert hottest_slices(np.zeros(9, np.float32), np.zeros(9, np.float32), 5.0, 3) == [4]


def test_the_paper_s_figures_3_and_4_show_the_run_s_heatmaps(run: Path, tmp_path: Path) -> None:
    words = ["paper", str(run), "--out", str(tmp_path), "--cases", "1", "--bootstrap", "100"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "paper.html").read_text()
    shown = pd.read_csv(tmp_path / "cases.csv")
    assert len(shown) > 0
    assert page.count("data:image/png;base64,") == len(shown)
    assert "Largest heat" in page
    assert "No heatmaps were given" not in page


def test_the_paper_s_page_says_why_it_has_no_heatmaps(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    (moved / "config.yaml").unlink()
    words = ["paper", str(moved), "--out", str(tmp_path / "out"), "--bootstrap", "100"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "No heatmaps could be made" in (tmp_path / "out" / "paper.html").read_text()


def test_a_layer_and_method_are_chosen_for_the_paper_s_figures(run: Path, tmp_path: Path) -> None:
    words = ["paper", str(run), "--out", str(tmp_path), "--cases", "1", "--bootstrap", "100"]
    words += ["--layer", "last_pool", "--method", "activation"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "paper.html").read_text()
    assert "at the layer last_pool" in page
    record = read_record(load_checkpoint(run / "checkpoints" / "last.ckpt"), "")
    assert "activation:last_pool" in record.heat_scales


def test_scans_of_other_folds_are_named_and_not_drawn(run: Path) -> None:
    table = pd.read_parquet(run / "predictions.parquet").query("part == 'test'")
    cases = pd.DataFrame(
        {
            "figure": ["typical", "misdiagnosed"], "scan_id": [table["scan_id"].iloc[0], "other"],
            "score": [0.5, 0.5], "caption": ["recognised case", "missed case"],
        }
    )  # fmt: skip
    found = paper_galleries(run, cases)
    assert (len(found.typical), len(found.misdiagnosed)) == (1, 0)
    assert "not test scans of this run: other." in str(found.note)
    assert "--method activation --layer last_pool" in str(found.note)
    task: Any = load_task(run / "checkpoints" / "last.ckpt")
    split_hash = read_record(load_checkpoint(run / "checkpoints" / "last.ckpt"), "").split_hash
    pictures = CasePictures(task, datamodule_of(run, split_hash), "module3", "guided", 1.0)
    with pytest.raises(CovidlitError, match="no test scan 'other'"):
        pictures.picture("other", 0.5)


def test_a_classical_baseline_has_no_heatmaps(tmp_path: Path) -> None:
    model = tmp_path / "checkpoints" / "model.skops"
    model.parent.mkdir()
    model.touch()
    for words in (
        ["explain", str(tmp_path)],
        ["explain", str(model), str(tmp_path)],
        ["export", str(model), "--scans", str(tmp_path)],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2
        assert "classical baseline" in " ".join(done.output.split())


def test_heatmaps_are_written_while_scans_are_scored(
    run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    folder = sources(tiny_data).iloc[0]
    checkpoint = run / "checkpoints" / "last.ckpt"
    out = tmp_path / "heat"
    words = ["predict", str(checkpoint), str(folder), "--out", str(tmp_path / "scores.csv")]
    done = CliRunner().invoke(app, [*words, "--heatmaps", str(out), "--timings"])
    assert done.exit_code == 0, done.output
    assert "heatmap" in done.output
    scan = load_scan(folder)
    (nifti,) = out.glob("*.heat.nii.gz")
    found = sitk.ReadImage(str(nifti))
    assert found.GetSize() == scan.hu.shape[::-1]
    HeatmapWriter(checkpoint, tmp_path / "alone").write(scan, name="scan")
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(found),
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "alone" / "scan.heat.nii.gz"))),
    )
    scores = pd.read_csv(tmp_path / "scores.csv")
    table = pd.read_csv(out / "heatmaps.csv")
    assert table[["scan_id", "path"]].equals(scores[["scan_id", "path"]])
    assert table["nifti"].tolist() == [nifti.name]
    words = ["predict", str(run), str(folder), "--out", str(tmp_path / "of_run.csv")]
    of_run = CliRunner().invoke(app, [*words, "--heatmaps", str(out)])
    assert of_run.exit_code == 0, of_run.output
    assert pd.read_csv(tmp_path / "of_run.csv")["score"].equals(scores["score"])


def test_images_without_an_id_are_matched_by_their_path(
    run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, scan = tmp_path / "scans", load_scan(sources(tiny_data).iloc[0])
    for k, name in enumerate(("one/scan", "two/scan", "copy/of one")):
        (scans / name).parent.mkdir(parents=True)
        write_nifti(scan.hu + np.int16(k % 2), scan.affine, scans / f"{name}.nii.gz")
    used: list[int] = []
    write = HeatmapWriter.write

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        used.append(torch.get_num_threads())
        return write(self, *args, **kwargs)

    monkeypatch.setattr(HeatmapWriter, "write", watched)
    checkpoint, out, before = run / "checkpoints" / "last.ckpt", tmp_path / "heat", 2
    torch.set_num_threads(before)
    with heatmaps_of_scored(checkpoint, out, threads=1, n_slices=1) as on_scored:
        scores = predict(checkpoint, scans, on_scored=on_scored)
    assert (used, torch.get_num_threads()) == ([1, 1, 1], before)
    table = pd.read_csv(out / "heatmaps.csv")
    assert sorted(table["path"]) == sorted(scores["path"])
    files = table.set_index("path")["nifti"]
    assert files["one/scan.nii.gz"] == files["copy/of one.nii.gz"] != files["two/scan.nii.gz"]
    assert all((out / name).is_file() for name in [*table["nifti"], *table["png"]])
