"""`explain --truth` takes masks of 0 and 1 as well as labels, and says what it expects."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort import Split
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.errors import ConfigError
from covidlit.explain.truth import Truth
from covidlit.lesions import LabelError, LesionLabels, read_labels
from covidlit.scans.images import write_nifti
from covidlit.scans.scan import Scan


@pytest.fixture(scope="module")
def labelled(tiny_data: Path, csacnet_run: Path) -> tuple[pd.DataFrame, Path]:
    """Three test scans of the run with lesions, and the folder of their labels."""
    manifest = Path((tiny_data / "manifest_path").read_text())
    table = read_manifest(manifest)
    folder = manifest.parent / "truth"
    tested = set(Split.load(csacnet_run / "split.json").scans("test"))
    chosen = [
        scan_id
        for scan_id in table["scan_id"]
        if scan_id in tested and (read_labels(folder, scan_id).classes > 1).any()
    ]
    return table[table["scan_id"].isin(chosen[:3])], folder


@pytest.fixture
def scan_and_labels(labelled: tuple[pd.DataFrame, Path]) -> tuple[str, Scan, LesionLabels]:
    table, folder = labelled
    scan_id = str(table["scan_id"].iloc[0])
    return scan_id, load_scan(table["path"].iloc[0]), read_labels(folder, scan_id)


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["explain", *map(str, words)])
    return done.exit_code, " ".join(done.output.split())


def test_masks_are_judged_as_labels_are(
    csacnet_run: Path, labelled: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    table, folder = labelled
    manifest = write_manifest(table, tmp_path / "three.csv")
    for k, scan_id in enumerate(table["scan_id"]):
        labels = read_labels(folder, scan_id)
        ending = (".nii.gz", ".mask.nii.gz", ".classes.nii.gz")[k]
        write_nifti(labels.classes > 1, labels.affine, tmp_path / "masks" / f"{scan_id}{ending}")
    found = {}
    for name, truth in (("labels", folder), ("masks", tmp_path / "masks")):
        words = [csacnet_run, manifest, "--out", tmp_path / name, "--truth", truth, "--scale", 1]
        code, output = run(*words)
        assert code == 0, output
        found[name] = pd.read_csv(tmp_path / name / "heatmaps.csv")
        assert ("binary masks" in output) == (name == "masks")
        assert ("1 of them are called classes" in output) == (name == "masks")
    labels, masks = found["labels"], found["masks"]
    assert masks["has_lesions"].all()
    for column in ("hit", "distance_mm", "heat_in_lesions"):  # need no lungs
        np.testing.assert_allclose(
            masks[column].astype(float), labels[column].astype(float), rtol=1e-6
        )
    # Lungs as thresholds find them, against those that the images were drawn from.
    np.testing.assert_allclose(masks["chance"], labels["chance"], atol=0.15)
    np.testing.assert_allclose(masks["lesions_of_lung"], labels["lesions_of_lung"], rtol=0.5)


def test_one_mask_and_one_image_of_the_same_name(
    csacnet_run: Path, scan_and_labels: tuple[str, Scan, LesionLabels], tmp_path: Path
) -> None:
    _, scan, labels = scan_and_labels
    image = write_nifti(scan.hu, scan.affine, tmp_path / "scans" / "case7.nii.gz")
    mask = write_nifti(labels.classes > 1, labels.affine, tmp_path / "masks" / "case7.nii.gz")
    for truth in (mask, mask.parent):
        out = tmp_path / truth.name
        code, output = run(csacnet_run, image, "--out", out, "--truth", truth, "--scale", 1)
        assert code == 0, output
        assert pd.read_csv(out / "heatmaps.csv")["has_lesions"].all()
        # Nothing says whether the scan is positive but its lesions.
        assert "Positives: The hottest point lies within 15 mm of a lesion in" in output


def test_a_mask_is_read_with_its_lesions_numbered_and_the_lungs_around_them(
    scan_and_labels: tuple[str, Scan, LesionLabels], tmp_path: Path
) -> None:
    scan_id, scan, labels = scan_and_labels
    mask = np.where(labels.classes > 1, 255, 0).astype(np.uint8)
    write_nifti(mask, labels.affine, tmp_path / f"{scan_id}.nii.gz")
    found = Truth(tmp_path).labels_of(scan_id, "", scan)
    assert found is not None
    np.testing.assert_array_equal(found.classes > 1, labels.classes > 1)
    lung = labels.classes > 0
    both = (found.classes > 0) & lung
    assert 2 * both.sum() / ((found.classes > 0).sum() + lung.sum()) > 0.8
    assert Truth(tmp_path).labels_of("another") is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda mask: mask * np.arange(1, len(mask) + 1)[:, None, None], "binary mask holds 0 and"),
        (lambda mask: mask[1:], "does not lie where the scan does"),
    ],
)
def test_what_is_no_mask_of_the_scan_is_refused(
    scan_and_labels: tuple[str, Scan, LesionLabels], tmp_path: Path, change: object, reason: str
) -> None:
    scan_id, scan, labels = scan_and_labels
    assert callable(change)
    mask = change(np.ones(labels.classes.shape, np.int16))
    write_nifti(mask, labels.affine, tmp_path / f"{scan_id}.nii.gz")
    with pytest.raises(LabelError, match=reason):
        Truth(tmp_path).labels_of(scan_id, "", scan)


def test_what_is_expected_is_said_before_any_work(
    csacnet_run: Path, labelled: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    table, folder = labelled
    manifest = write_manifest(table, tmp_path / "three.csv")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "lesions_of_somebody.nii.gz").touch()
    out = tmp_path / "out"
    words = [csacnet_run, manifest, "--out", out, "--scale", 1, "--truth"]
    for truth, said in (
        (tmp_path / "masks", "holds lesions_of_somebody.nii.gz"),
        (tmp_path / "nowhere", "no such folder or file"),
        (folder / f"{table['scan_id'].iloc[0]}.classes.nii.gz", "cannot tell of 3 scans"),
    ):
        code, output = run(*words, truth)
        assert code == 2
        assert said in output
        assert "<scan_id>.mask.nii.gz" in output
        assert not list(out.glob("*.png"))
    with pytest.raises(ConfigError, match="binary mask"):
        Truth(tmp_path / "nowhere")


def test_following_what_it_says_helps(
    csacnet_run: Path, labelled: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    """The message names the file that is missing: with that file the same command works."""
    table, folder = labelled
    scan_id = table["scan_id"].iloc[0]
    manifest = write_manifest(table.head(1), tmp_path / "one.csv")
    (tmp_path / "masks").mkdir()
    words = [csacnet_run, manifest, "--out", tmp_path / "out", "--scale", 1]
    words += ["--truth", tmp_path / "masks"]
    code, output = run(*words)
    assert code == 2
    assert f"such as {scan_id}.nii.gz" in output
    labels = read_labels(folder, scan_id)
    write_nifti(labels.classes > 1, labels.affine, tmp_path / "masks" / f"{scan_id}.nii.gz")
    code, output = run(*words)
    assert code == 0, output


def test_a_checkpoint_in_its_run_s_folder_needs_no_path(csacnet_run: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(csacnet_run, run_dir)
    checkpoint = sorted((run_dir / "checkpoints").glob("*.ckpt"))[-1]
    code, output = run(checkpoint, "--out", tmp_path / "out", "--limit", 1)
    assert code == 0, output
    assert len(pd.read_csv(tmp_path / "out" / "heatmaps.csv")) == 1


def test_elsewhere_it_says_how_and_that_works(
    csacnet_run: Path, labelled: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    table, _ = labelled
    name = sorted(path.name for path in (csacnet_run / "checkpoints").glob("*.ckpt"))[-1]
    moved = Path(shutil.copy(csacnet_run / "checkpoints" / name, tmp_path / "last.ckpt"))
    code, output = run(moved, "--out", tmp_path / "out")
    assert code == 2
    assert f"covidlit explain {moved} SCANS" in output
    manifest = write_manifest(table.head(1), tmp_path / "one.csv")
    code, output = run(moved, manifest, "--out", tmp_path / "out", "--layer", "module2")
    assert code == 2
    assert "--scale 1" in output
    words = [moved, manifest, "--out", tmp_path / "out", "--layer", "module2", "--scale", 1]
    code, output = run(*words)
    assert code == 0, output
    assert "Model-randomisation check" in output
    assert "What this can show" in output or "What this means" in output
