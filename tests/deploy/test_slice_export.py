"""The export of a network that segments slices finds what the network finds, or there is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_runs import record_of, save_segmentation
from torch import Tensor
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.scan_sources import find_scans
from covidlit.datamodules.slices.channels import slice_images
from covidlit.deploy.export import export
from covidlit.deploy.exported import SLICE_FILES, default_folder
from covidlit.deploy.load import load_engine
from covidlit.deploy.load_slices import load_slice_network
from covidlit.deploy.openvino_core import openvino_core
from covidlit.deploy.slice_parity import LIMITS, compare
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, ExportError
from covidlit.models.maskrcnn import predict_slices
from covidlit.models.maskrcnn.stages import Dense
from covidlit.synthetic import make_cohort

TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic scans of 64 x 64 pixels."""
    folder = tmp_path_factory.mktemp("chests") / "lesions"
    return make_cohort(
        folder, preset="lesions", n_scans=2, matrix=64, thickness_mm=10.0, progress=False
    ).dicom


@pytest.fixture(scope="session")
def exported(once: Callable[..., Path], chests: Path) -> Path:
    """A checkpoint with its export beside it."""

    def make(folder: Path) -> None:
        export(save_segmentation(folder / "checkpoints" / "best.ckpt", chests), chests)

    return once("slice_export", make) / "checkpoints" / "best.ckpt"


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy of both, to be spoilt."""
    shutil.copytree(exported.parent, tmp_path / "checkpoints")
    return tmp_path / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="session")
def images(chests: Path) -> list[Tensor]:
    read = find_scans(chests, Checks())[0].read
    assert read is not None
    return list(slice_images(read(), record_of()))[8:24:4]


def test_the_graphs_take_other_sizes_and_batches_than_they_were_traced_with(
    exported: Path, images: list[Tensor]
) -> None:
    """Run by OpenVINO itself, against the network."""
    net = load_slice_network(exported, "torch").task.net
    core = openvino_core()
    path = default_folder(exported) / "dense.xml"
    graph = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for size, count in (((128, 96), 1), ((64, 64), 3), ((32, 160), 2)):
        planes = torch.nn.functional.interpolate(torch.stack(images[:count]), size)
        tensors = net.batch(list(planes)).tensors
        with torch.inference_mode():
            expected = net.dense(tensors)
        found = graph([tensors.numpy()])
        classes = found[len(found) - 1]
        assert classes.dtype == np.uint8
        assert classes.shape == (count, *size)
        assert (classes == expected.classes.numpy()).all()
        for k in range(4):
            level = expected.levels[str(k)].numpy()
            np.testing.assert_allclose(found[k], level, atol=1e-4 * np.abs(level).max())


def test_what_was_compared_is_kept_with_the_files(exported: Path) -> None:
    folder = default_folder(exported)
    assert {path.name for path in folder.iterdir()} == {*SLICE_FILES, "model.json"}
    kept = json.loads((folder / "model.json").read_text())
    assert kept["kind"] == "segmentation"
    assert (kept["n_scans"], kept["n_slices"]) == (2, 12)
    assert kept["parity"].keys() == LIMITS.keys()
    assert all(0 <= value <= LIMITS[name] * TOLERANCE for name, value in kept["parity"].items())
    n_weights = sum(w.numel() for w in load_slice_network(exported, "torch").task.net.parameters())
    written = sum((folder / name).stat().st_size for name in SLICE_FILES if name.endswith("bin"))
    assert written > 0.95 * 4 * n_weights


def test_both_engines_find_the_same_in_the_same_order(exported: Path, images: list[Tensor]) -> None:
    torch_own, other = (load_slice_network(exported, name) for name in ("torch", "auto"))
    assert (torch_own.engine, other.engine) == ("torch", "openvino")
    assert not other.note
    one, two = (
        list(
            predict_slices(
                own.task.net, images, own.task.classes, batch_size=1, stages=own.stages,
                workers=workers,
            )
        )
        for own, workers in ((torch_own, 1), (other, 3))
    )  # fmt: skip
    assert sum(len(each.scores) for each in one) > 4
    for a, b in zip(one, two, strict=True):
        assert (a.semantic == b.semantic).all()
        assert a.labels.tolist() == b.labels.tolist()
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
        assert (a.masks != b.masks).mean() < 1e-3


def test_objects_that_score_less_are_left_out_and_the_others_stay(
    exported: Path, images: list[Tensor]
) -> None:
    own = load_slice_network(exported)
    net, classes = own.task.net, own.task.classes
    everything = list(predict_slices(net, images, classes, stages=own.stages))
    least = float(np.median(np.concatenate([each.scores for each in everything])))
    some = list(predict_slices(net, images, classes, stages=own.stages, score_threshold=least))
    for one, two in zip(everything, some, strict=True):
        kept = one.scores >= least
        np.testing.assert_allclose(one.scores[kept], two.scores, atol=1e-6)
        assert (one.masks[kept] == two.masks).all()
    assert 0 < sum(len(one.scores) for one in some) < sum(len(one.scores) for one in everything)


def test_an_export_stands_for_its_checkpoint(
    exported: Path, images: list[Tensor], tmp_path: Path
) -> None:
    """Without the checkpoint: classes, anchors and thresholds are in its record."""
    folder = Path(shutil.copytree(default_folder(exported), tmp_path / "alone"))
    alone, beside = load_slice_network(folder), load_slice_network(exported)
    one, two = (
        next(predict_slices(own.task.net, images, own.task.classes, stages=own.stages))
        for own in (alone, beside)
    )
    np.testing.assert_array_equal(one.scores, two.scores)
    assert (one.semantic == two.semantic).all()
    assert alone.record == beside.record
    with pytest.raises(ConfigError, match="cannot be run by torch"):
        load_slice_network(folder, "torch")


def test_the_command_says_what_differs_and_by_how_much_it_may(
    copied: Path, chests: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["export", str(copied), "--scans", str(chests), "--out", str(out)]
    refused = CliRunner().invoke(app, [*command, "--format", "onnx"])
    assert refused.exit_code == 2
    assert "is exported for OpenVINO alone" in " ".join(refused.output.split())
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    kept = json.loads((out / "model.json").read_text())
    for name in ("score_difference", "dense_difference"):
        assert f"{kept['parity'][name]:.1e}" in done.output
    assert "On 12 slices of 2 scans" in done.output


def test_a_network_that_computes_otherwise_when_exported_is_refused(
    chests: Path, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints" / "best.ckpt"
    save_segmentation(path, chests, net="segmentation_runs.Changeling")
    with pytest.raises(ExportError, match=r"something else than PyTorch .*objectness and deltas"):
        export(path, chests)
    assert not list(path.parent.glob("exported/*"))


def test_a_changed_file_is_never_run(copied: Path) -> None:
    weights = default_folder(copied) / "box.bin"
    content = bytearray(weights.read_bytes())
    content[100] ^= 64
    weights.write_bytes(content)
    with pytest.raises(ExportError, match="not the one that was exported"):
        load_slice_network(copied, "openvino")
    own = load_slice_network(copied)
    assert own.engine == "torch"
    assert "box.bin" in own.note
    assert "was not taken" in own.note


def test_an_export_of_another_state_is_never_run(copied: Path, chests: Path) -> None:
    save_segmentation(copied, chests, seed=1)
    with pytest.raises(ExportError, match="it changed since"):
        load_slice_network(copied, "openvino")
    own = load_slice_network(copied)
    assert (own.engine, own.stages) == ("torch", None)
    assert "it changed since" in own.note


def test_engines_and_devices_that_there_are_not_are_named(copied: Path) -> None:
    for engine, device, reason in (
        ("onnxruntime", "auto", "not labelled by 'onnxruntime'"),
        ("openvino", "cuda", "runs on the CPU only"),
    ):
        with pytest.raises(ConfigError, match=reason):
            load_slice_network(copied, engine, device=device)
    shutil.rmtree(default_folder(copied))
    with pytest.raises(ConfigError, match=r"not been exported.*covidlit export"):
        load_slice_network(copied, "openvino")
    own = load_slice_network(copied)
    assert (own.engine, own.note) == ("torch", "")


def test_predict_refuses_an_export_of_slices(exported: Path) -> None:
    with pytest.raises(ExportError, match=r"segments slices.*covidlit quantify"):
        load_engine(default_folder(exported))


def test_slices_in_which_nothing_is_found_show_nothing(chests: Path, tmp_path: Path) -> None:
    path = save_segmentation(tmp_path / "checkpoints" / "best.ckpt", chests)
    content = torch.load(path, weights_only=True)
    content["state_dict"]["net.semantic.classify.bias"][0] += 1e4
    torch.save(content, path)
    with pytest.raises(ExportError, match="too little to show a difference"):
        export(path, chests)


class Spoilt:
    """A network whose parts give something else."""

    def __init__(self, net: Any, **changes: Callable[[Any], Any]) -> None:
        self.net, self.changes = net, changes

    @property
    def heads(self) -> Spoilt:
        return self

    def dense(self, tensors: Tensor) -> Dense:
        found = self.net.dense(tensors)
        for name in ("classes", "deltas"):
            if name in self.changes:
                found = found._replace(**{name: self.changes[name](getattr(found, name))})
        return found

    def box_outputs(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = self.net.heads.box_outputs(regions)
        logits = self.changes.get("logits", lambda x: x)(logits)
        return logits, self.changes.get("box", lambda x: x)(deltas)

    def mask_probabilities(self, regions: Tensor, labels: Tensor) -> Tensor:
        return self.net.heads.mask_probabilities(regions, labels)


def shifted(classes: Tensor) -> Tensor:
    return classes.roll(1, dims=-1)


@pytest.mark.parametrize(
    ("changes", "measures"),
    [
        ({}, set()),
        ({"classes": shifted},
         {"pixels_of_another_class", "lung_dice_lost", "lesion_dice_lost"}),
        ({"deltas": lambda deltas: [each * torch.nan for each in deltas]}, {"dense_difference"}),
        ({"logits": lambda logits: logits * 0.98}, {"score_difference"}),
        ({"box": lambda deltas: deltas + 0.02}, {"box_difference_pixels"}),
        ({"logits": lambda logits: logits * 0}, {"objects_without_match"}),
    ],
)  # fmt: skip
def test_each_difference_is_found(
    changes: dict[str, Any], measures: set[str], exported: Path, images: list[Tensor]
) -> None:
    net = load_slice_network(exported, "torch").task.net
    with torch.inference_mode():
        classes = torch.cat([net.dense(net.batch([each]).tensors).classes for each in images])
        # Two classes that there are, the first of which stands for the lung.
        lung, lesion = classes.flatten().bincount(minlength=7)[1:].argsort().flip(0)[:2] + 1
        assert bool((classes == lesion).any())
        found, shown = compare(net, Spoilt(net, **changes), images, lung=int(lung))
    assert measures <= found.above(TOLERANCE).keys()
    assert bool(measures) == bool(found.above(TOLERANCE))
    assert shown["slices"] == len(images)


def slices_of_two_sizes(images: list[Tensor]) -> Iterator[Tensor]:
    yield from images
    yield images[0][:, :50, :41]


def test_slices_of_several_sizes_are_compared(exported: Path, images: list[Tensor]) -> None:
    own = load_slice_network(exported)
    assert own.stages is not None
    with torch.inference_mode():
        found, shown = compare(own.task.net, own.stages, slices_of_two_sizes(images), lung=1)
    assert not found.above(TOLERANCE)
    assert shown["slices"] == len(images) + 1


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_fewer_bits_are_of_networks_that_score_scans(
    precision: str, exported: Path, chests: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"exported in float32 alone, not in {precision}"):
        export(exported, chests, tmp_path / "out", precision=precision)
    assert list(tmp_path.iterdir()) == []
