"""Runs of Weights & Biases: complete, ended, and never waiting for a network."""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record

from covidlit.errors import TrainingError
from covidlit.runs.weights_and_biases import answers

sys.path.insert(0, str(Path(__file__).parents[1] / "sweep"))
from sweep_study import NARROW, Sweep

NEVER = {"_target_": "optuna.pruners.ThresholdPruner", "lower": 2.0}


def records(path: Path) -> list[Record]:
    """The records of a .wandb file: LevelDB's log format after a header of seven bytes."""
    data, at, whole, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            found.append(Record.FromString(whole))
            whole = b""
    return found


def read_run(folder: Path) -> tuple[Record, int | None, list[str]]:
    (path,) = folder.glob("logs/wandb/offline-run-*/*.wandb")
    found = records(path)
    run = next(one for one in found if one.WhichOneof("record_type") == "run")
    exits = [one.exit.exit_code for one in found if one.WhichOneof("record_type") == "exit"]
    logged = [
        item.key or ".".join(item.nested_key)
        for one in found
        if one.WhichOneof("record_type") == "history"
        for item in one.history.item
    ]
    return run, exits[0] if exits else None, logged


@pytest.mark.parametrize("end", ["pruned", "failed"])
def test_a_trial_is_one_run_in_the_group_of_its_study(
    end: str, tiny_overrides: list[str], tmp_path: Path
) -> None:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from covidlit.settings.tree import config_dir

    how = ["model.task.optimizer.lr=1e30", "model.task.scheduler=null"] if end == "failed" else []
    overrides = [*tiny_overrides, *NARROW, "name=test", "logger=wandb", "trainer.max_epochs=3"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", [*overrides, *how]), resolve=True)
    with pytest.raises(TrainingError if end == "failed" else optuna.TrialPruned):
        Sweep(tmp_path).run(config, pruner=NEVER)
    assert wandb.run is None  # or the next trial of the process would write into it
    run, code, logged = read_run(tmp_path / "trial_0")
    assert (run.run.run_group, run.run.display_name) == ("tiny", "tiny 0")
    assert code == (1 if end == "failed" else 0)
    assert end == "failed" or "val_auroc" in logged
    (path,) = tmp_path.glob("trial_0/logs/wandb/offline-run-*/*.wandb")
    tags = {tag for record in records(path) for tag in record.run.tags}
    assert tags == ({"pruned"} if end == "pruned" else set())
    kept = {item.key: json.loads(item.value_json) for item in run.run.config.update}
    assert {name: kept[name] for name in config} == config
    assert "net" not in kept  # the task's arguments stand below model.task


def test_a_run_without_a_network_does_not_wait(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    asked: list[str] = []

    def silent(url: str) -> bool:
        asked.append(url)
        return False

    monkeypatch.setattr("covidlit.runs.weights_and_biases.answers", silent)
    run_dir = train("logger=wandb", "logger.wandb.offline=false", *NARROW)
    assert len(asked) == 1
    assert "wandb sync" in caplog.text
    _, code, logged = read_run(run_dir)
    assert code == 0
    assert "val_auroc" in logged


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert not answers(address, 0.5)  # without a limit it would never return
    assert not answers(address, 0.5)  # closed: refused at once
