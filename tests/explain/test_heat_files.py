"""Heat on disk, read by another reader; and what making a heatmap imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its own convention)
import torch

from covidlit.explain.explain import explain_image
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.nifti import packed_heat
from covidlit.explain.write import HeatmapWriter
from covidlit.files import write_bytes
from covidlit.scans.images import write_nifti
from covidlit.scans.scan import Scan
from covidlit.tasks.classifier import Classifier
from covidlit.tasks.load import load_for_prediction, load_task

AFFINE = np.array([[0, 0, 0.7, -100], [0, 0.8, 0, -90], [1.5, 0, 0, -300], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("shape", [(37, 20, 30), (16, 5, 6), (1, 4, 3)])
def test_heat_has_the_place_that_simpleitk_gives_integers(
    shape: tuple[int, int, int], tmp_path: Path
) -> None:
    heat = np.random.default_rng(0).random(shape, np.float32)
    heat *= np.float32(0.02) / heat.max()
    path = write_bytes(
        tmp_path / "a.nii.gz", packed_heat(heat, heat.shape, float(heat.max()), AFFINE)
    )
    plain = write_nifti(np.zeros(shape, np.uint8), AFFINE, tmp_path / "b.nii")
    image, wanted = sitk.ReadImage(str(path)), sitk.ReadImage(str(plain))
    assert image.GetOrigin() == pytest.approx(wanted.GetOrigin(), abs=1e-4)
    assert image.GetSpacing() == pytest.approx(wanted.GetSpacing(), abs=1e-6)
    assert image.GetDirection() == pytest.approx(wanted.GetDirection(), abs=1e-6)
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), heat, atol=0.02 / 255 / 2 * 1.01)
    ours, theirs = nib.load(path), nib.load(plain)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)
    np.testing.assert_allclose(ours.get_fdata().T, heat, atol=0.02 / 255 / 2 * 1.01)
    for name in ("qform_code", "sform_code", "xyzt_units", "vox_offset", "dim", "datatype"):
        assert np.array_equal(ours.header[name], theirs.header[name]), name


def test_no_heat_at_all_is_zero_everywhere(tmp_path: Path) -> None:
    heat = np.zeros((3, 4, 5), np.float32)
    path = write_bytes(
        tmp_path / "a.nii.gz", packed_heat(heat, heat.shape, float(heat.max()), AFFINE)
    )
    assert np.array_equal(nib.load(path).get_fdata(), np.zeros((5, 4, 3)))


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "/x", "a\0"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    writer = object.__new__(HeatmapWriter)
    writer.out_dir = tmp_path
    scan = Scan(np.full((16, 20, 20), -800, np.int16), AFFINE)
    with pytest.raises(ExplainError, match="name of a heatmap"):
        writer.write(scan, name=name)


def test_a_picture_that_fails_leaves_no_file(
    csacnet_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = HeatmapWriter(csacnet_run / "checkpoints" / "last.ckpt", tmp_path, scale=1.0)
    scan = Scan(np.full((16, 20, 20), -800, np.int16), AFFINE)
    monkeypatch.setattr("covidlit.explain.heat_files.overlay_png", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.write(scan, name="a")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    writer.write(scan, name="a")
    assert {path.name for path in tmp_path.iterdir()} == {"a.heat.nii.gz", "a.png"}


def test_a_classifier_is_the_task_without_lightning(csacnet_run: Path) -> None:
    checkpoint = csacnet_run / "checkpoints" / "last.ckpt"
    state = torch.get_rng_state()
    task, classifier = load_task(checkpoint), load_for_prediction(checkpoint)
    assert torch.equal(torch.get_rng_state(), state)  # no weights were drawn only to be replaced
    assert isinstance(classifier, Classifier)
    assert classifier.state_dict().keys() == task.state_dict().keys()
    image = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    ours, wanted = explain_image(classifier, image), explain_image(task, image)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.values, wanted.values, rtol=1e-5, atol=1e-9)
    assert ours.score == pytest.approx(wanted.score, abs=1e-6)
    slow = "('pytorch_lightning', 'monai', 'torchmetrics', 'torchvision', 'pandera', 'scipy.stats')"
    code = (
        "import sys, covidlit.deploy.predict, covidlit.explain.predicted\n"
        "from covidlit.deploy import load_engine\n"
        f"load_engine({str(checkpoint)!r}, 'torch')\nassert not sys.modules.keys() & set({slow})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
