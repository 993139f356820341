"""Every search space that is shipped composes, and names settings that exist."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.settings.tree import config_dir

SPACES = sorted(path.stem for path in (config_dir() / "sweep").glob("*.yaml"))


@pytest.mark.parametrize("space", SPACES)
def test_a_space_names_settings_of_the_models_it_is_drawn_for(space: str) -> None:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        tree = compose("train", [f"sweep={space}"], return_hydra_config=True)
        sweeper = tree.hydra.sweeper
        assert sweeper._target_.endswith("CovidlitSweeper")
        assert sweeper.trial is None
        own = {"maskrcnn": "maskrcnn_small", "resnet3d": "resnet3d"}
        alone = own.get(space, "csacnet")
        choice = str(sweeper.params.get("model", f"choice({alone})"))
        for model in choice.removeprefix("choice(").removesuffix(")").split(", "):
            names = [name for name in sweeper.params if name != "model"]
            for block in sweeper.conditional:
                if block.when.model == model:
                    names += list(block.params)
            config = compose("train", [f"sweep={space}", f"model={model}"])
            for name in names:
                assert OmegaConf.select(config, name, default="none") != "none", (model, name)


def test_the_folder_of_a_trial_is_named_by_its_number() -> None:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        tree = compose(
            "train", ["sweep=csacnet", "hydra.sweeper.trial=7"], return_hydra_config=True
        )
        assert tree.hydra.sweep.subdir == "trial_7"
        assert tree.hydra.sweep.dir == "runs/sweeps/csacnet"
