"""The best trial's experiment file composes the trial's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from example_studies import add, study
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from covidlit.errors import ConfigError
from covidlit.settings.tree import config_dir
from covidlit.sweep.best import best_command, difference, write_best

pytestmark = pytest.mark.slow


def composed(overrides: list[str]) -> dict[str, Any]:
    """What `train.py` would compose, by Hydra's own interface, without what a new run has."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        tree = OmegaConf.to_container(compose("train", overrides), resolve=False)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items() if key != "name"}


CASES = {
    "plain": ([], ["model.task.optimizer.lr=0.002"]),
    "a study with deltas of the model": (
        ["experiment=quickstart", "data.source.seed=1", "seed=3"],
        ["model=csacnet", "model.task.net.dilations=[[1,1,1],[1,2,2]]"],
    ),
    "another model of the study": (["experiment=quickstart", "debug=limit"], ["model=resnet3d"]),
    "groups": (["augmentation=none", "logger=[csv,tensorboard]"], ["model=svm", "split=k_fold"]),
    "added, null, text": (
        ["+data.source.extra='1e-3'", "name=x", "hydra.job.chdir=false"],
        ["model.task.scheduler=null"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_composes_the_trial(case: str, tmp_path: Path) -> None:
    fixed, drawn = CASES[case]
    made = study("my sweep/1")
    made.set_user_attr("fixed", fixed)
    add(made, 0.5)
    add(made, 0.9, overrides=drawn)
    path = write_best(made, tmp_path)
    assert path == tmp_path / "conf" / "experiment" / "my_sweep_1_best.yaml"
    wanted = composed([text for text in [*fixed, *drawn] if not text.startswith("hydra.")])
    run = ["experiment=my_sweep_1_best", f"hydra.searchpath=[file://{tmp_path}/conf]"]
    assert composed(run) == wanted
    # What was shared stays shared: the run's length can still be set in one place.
    longer = composed([*run, "trainer.max_epochs=99"])
    assert longer["trainer"]["max_epochs"] == 99
    assert longer["model"].get("trainer") == wanted["model"].get("trainer")


def test_it_is_run_by_the_command_it_names(tmp_path: Path) -> None:
    made = study()
    add(made, 0.9)
    path = write_best(made, tmp_path)
    assert path is not None
    assert best_command(made, tmp_path) in path.read_text()
    assert best_command(made, tmp_path).endswith(f"{tmp_path}/conf experiment=example_best")


def test_it_leaves_a_running_application_of_hydra_as_it_was(tmp_path: Path) -> None:
    made = study()
    add(made, 0.9)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        running = GlobalHydra.instance().hydra
        write_best(made, tmp_path)
        assert GlobalHydra.instance().hydra is running
        assert compose("train").seed == 0


def test_what_no_experiment_file_can_say_is_refused_and_nothing_written(tmp_path: Path) -> None:
    made = study()
    made.set_user_attr("fixed", ["~heatmaps"])
    add(made, 0.9)
    with pytest.raises(ConfigError, match="takes heatmaps away"):
        write_best(made, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_mistyped_override_is_named(tmp_path: Path) -> None:
    made = study()
    add(made, 0.9, overrides=["model.task.optimiser.lr=1"])
    with pytest.raises(ConfigError, match="optimiser"):
        write_best(made, tmp_path)


def test_without_a_finished_trial_there_is_no_file(tmp_path: Path) -> None:
    made = study()
    add(made, None)
    assert write_best(made, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_difference_is_the_least_that_must_be_merged() -> None:
    base = {"a": 1, "b": {"c": [1], "d": "${a}"}, "e": None}
    target = {"a": 1.0, "b": {"c": [2], "d": "${a}", "x": 0}, "e": {"f": True}}
    found = difference(base, target)
    assert found == {"a": 1.0, "b": {"c": [2], "x": 0}, "e": {"f": True}}
    assert OmegaConf.merge(base, found) == OmegaConf.create(target)
    assert difference(base, base) == {}
