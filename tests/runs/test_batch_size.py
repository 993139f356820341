"""The memory of a training step, known before it is taken, and the batches that fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.errors import ConfigError
from covidlit.runs import batch_size
from covidlit.runs.batch_size import Batches, settle_batches
from covidlit.runs.memory import _of_container
from covidlit.runs.step_memory import _LiveTensors, step_memory
from covidlit.runs.steps import train_and_evaluate
from covidlit.settings.tree import config_dir
from covidlit.tasks import VolumeClassification

SIZE = [16, 32, 32]
INPUT = {"geometry": {"size": SIZE}}
LARGE = {"geometry": {"size": [64, 128, 128]}}
GB = 10**9


def _task(width: int = 8, **net: Any) -> VolumeClassification:
    node = {"_target_": "covidlit.models.CSACNet3D", "width": width, "hidden": [8, 8], **net}
    return VolumeClassification(net=node)


def _config(batch_size: int | str, **more: Any) -> dict[str, Any]:
    trainer = {"accelerator": "cpu", "devices": 1, "accumulate_grad_batches": 1}
    return {"data": {"batch_size": batch_size, "num_workers": 0}, "trainer": trainer, **more}


def test_the_graph_without_content_is_that_of_a_real_step() -> None:
    task = _task(width=4).train()
    for rows in (2, 5):
        task.zero_grad()
        batch = {"image": torch.rand(rows, 1, *SIZE)}
        with _LiveTensors() as live:
            task.graph_of(batch).backward()
        found = step_memory(task, INPUT, rows)
        assert found is not None
        assert found.activations == pytest.approx(live.peak, rel=0.1)
        assert found.weights == 3 * sum(4 * p.numel() for p in task.parameters())


def test_the_task_is_as_it_was() -> None:
    task = _task()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    state = torch.get_rng_state()
    step_memory(task, INPUT, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" for p in task.parameters())


def test_a_graph_that_needs_the_content_is_not_estimated() -> None:
    class Looks(VolumeClassification):
        def graph_of(self, batch: dict[str, Any]) -> torch.Tensor:
            return super().graph_of(batch) * float(batch["image"].mean())

    assert step_memory(Looks(net=_task().hparams["net"]), INPUT, 2) is None


def test_what_does_not_fit_ends_with_settings_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    task = _task(width=64)
    needed = step_memory(task, LARGE, 10)
    assert needed is not None
    monkeypatch.setattr(batch_size, "available_memory", lambda: int(0.7 * needed.total))
    with pytest.raises(ConfigError, match="a training step takes about") as error:
        settle_batches(_config(10), task, LARGE)
    found = re.search(r"data\.batch_size=(\d+) trainer\.accumulate_grad_batches=(\d+)",
                      str(error.value.fix))  # fmt: skip
    assert found is not None
    rows, accumulated = int(found[1]), int(found[2])
    assert rows * accumulated == 10
    followed = _config(rows)
    followed["trainer"]["accumulate_grad_batches"] = accumulated
    assert settle_batches(followed, task, LARGE) == Batches(rows, accumulated)
    assert settle_batches(_config("auto"), task, LARGE) == Batches(rows, accumulated)
    assert settle_batches(_config(10, check_memory=False), task, LARGE) == Batches(10)


def test_a_network_too_wide_for_one_row_ends_with_a_width_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = _task(width=64)
    needed = step_memory(task, LARGE, 1)
    assert needed is not None
    monkeypatch.setattr(batch_size, "available_memory", lambda: int(0.8 * needed.total))
    with pytest.raises(ConfigError) as error:
        settle_batches(_config("auto"), task, LARGE)
    found = re.search(r"width=(\d+) data\.batch_size=(\d+)", str(error.value.fix))
    assert found is not None
    assert int(found[1]) in (8, 16, 32)
    settled = settle_batches(_config("auto"), _task(width=int(found[1])), LARGE)
    assert settled is not None
    assert settled.rows == int(found[2])
    assert "experiment=small" in str(error.value.fix)


def test_a_graph_that_batch_norm_refuses_is_not_estimated() -> None:
    net = {"_target_": "covidlit.models.ResNet3D", "width": 8}
    small = {"geometry": {"size": [8, 16, 16]}}
    assert step_memory(VolumeClassification(net=net), small, 1) is None


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_leaves_what_its_limit_leaves(version: int, tmp_path: Path) -> None:
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }
    limit, used, files = names[version]
    (tmp_path / limit).write_text(f"{8 * GB}\n")
    (tmp_path / used).write_text(f"{5 * GB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\n{files} {2 * GB}\n")
    assert _of_container(tmp_path) == 5 * GB
    (tmp_path / limit).write_text("max\n")
    assert _of_container(tmp_path) is None


@pytest.mark.slow
def test_a_run_finds_its_batches_and_goes_on_with_them(
    tiny_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = ("data.batch_size=auto", "model=csacnet", "model.task.net.width=4", "name=test")
    monkeypatch.setattr(batch_size, "AUTO_ROWS", 4)

    def run(*more: str) -> dict[str, Any]:
        given = [o for o in tiny_overrides if not o.startswith("data.batch_size")]
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*given, *auto, *more])
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        train_and_evaluate(OmegaConf.to_container(config, resolve=True), folder)  # type: ignore[arg-type]
        last = folder / "checkpoints" / "last.ckpt"
        return {"last": last, **read_record(load_checkpoint(last), last).config}

    first = run("model.task.scheduler=null")
    assert (first["data"]["batch_size"], first["trainer"]["accumulate_grad_batches"]) == (4, 1)
    monkeypatch.setattr(batch_size, "AUTO_ROWS", 2)  # as if less memory were free today
    again = run(f"ckpt_path={first['last']}", "trainer.max_epochs=2", "model.task.scheduler=null")
    assert again["data"]["batch_size"] == 4
