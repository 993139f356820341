"""Checkpoints and run folders from elsewhere: nothing is removed, nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.checkpoints.io import RunCheckpointIO
from covidlit.cli.train import whole_run
from covidlit.datamodules.build import build_datamodule
from covidlit.errors import CheckpointError, ConfigError, CovidlitError
from covidlit.explain.run_sources import datamodule_of
from covidlit.settings.tree import config_dir

NARROW = ("model=csacnet", "model.task.net.width=4", "model.task.scheduler=null")


def _configuration(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*overrides, "name=test"])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _poisoned(checkpoint: Path, out: Path, folder: Path, victim: Path) -> Path:
    """The checkpoint with callbacks that take a folder elsewhere for a file of theirs."""
    content = torch.load(checkpoint, weights_only=True)
    way = f"{folder}/{'../' * len(folder.parts)}{str(victim).lstrip('/')}"
    for state in content["callbacks"].values():
        if "best_model_path" in state:
            state |= {
                "dirpath": str(folder), "best_model_path": way, "last_model_path": way,
                "kth_best_model_path": way, "best_k_models": {way: torch.tensor(-1.0)},
                "kth_value": torch.tensor(-1.0),
            }  # fmt: skip
    torch.save(content, out)
    return out


@pytest.mark.parametrize("callbacks", ["last_epoch", "default"])
def test_a_checkpoint_cannot_have_a_folder_removed(
    callbacks: str, train: Callable[..., Path], tiny_overrides: list[str], tmp_path: Path
) -> None:
    first = train(*NARROW, f"callbacks={callbacks}")
    victim, run_dir = tmp_path / "victim", tmp_path / "run"
    victim.mkdir()
    (victim / "results.csv").write_text("of years")
    folder = run_dir / "checkpoints"
    source = first / "checkpoints" / "last.ckpt"
    poisoned = _poisoned(source, first / "checkpoints" / "poisoned.ckpt", folder, victim)
    overrides = (*NARROW, f"callbacks={callbacks}", "trainer.max_epochs=3")
    config = _configuration(*tiny_overrides, *overrides, f"ckpt_path={poisoned}")
    whole_run(config, run_dir)
    assert (victim / "results.csv").read_text() == "of years"


ELSEWHERE = [
    ("data.source", {"_target_": "os.system", "command": "touch {made}"}),
    ("label_rule", {"_target_": "subprocess.check_call", "args": ["touch", "{made}"]}),
    ("split", {"_target_": "pathlib.Path.touch", "self": "{made}", "_partial_": True}),
    ("inclusion", {"_target_": "builtins.exec", "source": "open({made!r}, 'w')"}),
    ("data", {"_target_": "os.system", "command": "touch {made}", "source": {}}),
]


@pytest.mark.parametrize(("place", "node"), ELSEWHERE, ids=[place for place, _ in ELSEWHERE])
def test_a_run_folder_cannot_have_code_run(
    place: str, node: dict[str, Any], csacnet_run: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    parent: Any = config
    *way, last = place.split(".")
    for name in way:
        parent = parent[name]
    text = yaml.safe_dump(node).replace("{made!r}", repr(str(made))).replace("{made}", str(made))
    parent[last] = yaml.safe_load(text)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(CovidlitError, match=r"may be built|no such setting|_target_"):
        datamodule_of(tmp_path, "any").setup()
    assert not made.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "it holds a list"),
        ("data: 3\nmodel: {}\nsplit: {}", "its node 'data' is no mapping"),
        ("data: {}\nmodel: {}\nsplit: {}\nseed: 1", "it has no 'strict'"),
        ("data: !!python/object/apply:os.system ['true']", "cannot be read"),
        ("{", "cannot be read"),
    ],
)
def test_what_is_no_configuration_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"not the configuration of a run: .*{said}"):
        datamodule_of(tmp_path, "any")


@pytest.mark.parametrize("target", ["nope.Missing", "covidlit.datamodules.Missing", "Missing"])
def test_a_class_of_data_that_is_not_there_is_named(target: str, csacnet_run: Path) -> None:
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    config["data"]["_target_"] = target
    with pytest.raises(ConfigError, match=rf"data\._target_: there is no class '{target}'"):
        build_datamodule(config, trusted=True)


def test_own_plugins_do_not_open_the_way(
    train: Callable[..., Path], tiny_overrides: list[str], tmp_path: Path
) -> None:
    first = train(*NARROW, "callbacks=last_epoch")
    victim, run_dir = tmp_path / "victim", tmp_path / "run"
    victim.mkdir()
    poisoned = _poisoned(
        first / "checkpoints" / "last.ckpt", first / "checkpoints" / "poisoned.ckpt",
        run_dir / "checkpoints", victim,
    )  # fmt: skip
    plugin = "{_target_: lightning_fabric.plugins.environments.LightningEnvironment}"
    overrides = ("callbacks=last_epoch", "trainer.max_epochs=3", f"+trainer.plugins={plugin}")
    config = _configuration(*tiny_overrides, *NARROW, *overrides, f"ckpt_path={poisoned}")
    whole_run(config, run_dir)
    assert victim.is_dir()


def test_a_run_removes_no_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    checkpoints = RunCheckpointIO([folder])
    for path in (folder, tmp_path, folder / ".." / "other"):
        with pytest.raises(CheckpointError, match="no checkpoint of the run"):
            checkpoints.remove_checkpoint(path)
    assert folder.is_dir()


def test_a_run_folder_of_before_is_read(csacnet_run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    del config["data"]["_target_"]
    data = build_datamodule(config)
    assert data.split.hash == build_datamodule(config, trusted=True).split.hash
    config["data"]["source"] = {
        "_target_": "covidlit.cohort.sources.synthetic_manifest", "folder": str(tmp_path),
        "n_scans": 0, "n_jobs": 1,
    }  # fmt: skip
    with pytest.raises(CovidlitError, match="n_scans"):  # found under the name of today
        build_datamodule(config)


def test_a_class_of_the_user_s_own_is_named(csacnet_run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    config["split"]["_target_"] = "my_package.my_split"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match=r"my_package\.my_split.*allow_target"):
        datamodule_of(tmp_path, "any")
