"""Settings of runs of several processes, on one machine or many, and of those that must be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from covidlit.cli.train import run
from covidlit.errors import ConfigError
from covidlit.runs.processes import process_rank
from covidlit.settings.tree import config_dir


def test_every_process_of_a_slurm_job_has_the_same_run_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["trainer=slurm", "name=study"], return_hydra_config=True)
    assert config.hydra.run.dir == "runs/study/4711"
    assert (config.trainer.num_nodes, config.trainer.devices) == (2, 4)
    assert (config.trainer.strategy, config.trainer.accelerator) == ("ddp", "gpu")


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "2"}, True),  # Lightning, one machine
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, False),
        ({"NODE_RANK": "1", "MASTER_ADDR": "node0"}, False),  # Lightning, the second of two
        ({"LOCAL_RANK": "0", "NODE_RANK": "1", "WORLD_SIZE": "4"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True),  # torchrun
        ({"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"}, False),
        ({"RANK": "2", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        ({"LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        ({"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}, True),  # srun
        ({"SLURM_PROCID": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"}, False),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),  # Lightning, in one task of SLURM
        ({"SLURM_PROCID": "1", "LOCAL_RANK": "0"}, False),
    ],
)
def test_the_first_process_is_found_however_it_was_started(
    environment: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (process_rank() == 0) is first
    if "RANK" in environment:
        assert process_rank() == int(environment["RANK"])


@pytest.mark.parametrize(
    ("trainer", "refused"),
    [
        ({"devices": 1}, False),
        ({"devices": [1]}, False),
        ({"devices": [0, 1]}, True),
        ({"devices": "auto"}, True),
        ({"devices": 1, "num_nodes": 2}, True),
    ],
)
def test_a_sweep_runs_on_any_one_device(
    trainer: dict, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Started(Exception):  # noqa: N818
        """Stands for the run."""

    def start(*_: object) -> None:
        raise Started

    runtime = {"output_dir": str(tmp_path), "cwd": str(tmp_path)}
    hydra = {"mode": "RunMode.MULTIRUN", "runtime": runtime}
    monkeypatch.setattr(HydraConfig, "get", lambda: OmegaConf.create(hydra))
    monkeypatch.setattr("covidlit.cli.train.whole_run", start)
    with pytest.raises(ConfigError if refused else Started):
        run(OmegaConf.create({"trainer": trainer, "split": {}}))
