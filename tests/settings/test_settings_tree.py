"""The Hydra tree and its errors."""

import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import ListConfig, OmegaConf

from covidlit.cohort import ByClass, InclusionCriteria, LabelRule, MultiClass
from covidlit.datamodules import VolumeDataModule
from covidlit.errors import ConfigError, ManifestError
from covidlit.models import CSACNet3D, DenseNet3D, MaskRCNN, ResNet3D
from covidlit.settings.errors import translate
from covidlit.settings.third_party import UNUSED
from covidlit.settings.trainer import check_trainer_settings
from covidlit.settings.tree import config_dir
from covidlit.tasks import LesionSegmentation, VolumeClassification

ROOT = Path(__file__).parents[2]
OF_OTHER_NODES = {
    "manifest", "split", "augmentation", "n_classes", "label_rule", "checks", "seed", "strict",
}  # fmt: skip
"""Arguments of the datamodule that are made from other nodes than `data`."""
TRAINERS = sorted(path.stem for path in (config_dir() / "trainer").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose("train", list(overrides)), resolve=False)


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("modell=csacnet", "model"),
        ("model=csacnett", "csacnet"),
        ("trainer.max_epoch=3", "trainer.max_epochs"),
        ("max_epochs=3", "trainer.max_epochs"),
        ("experiment=quickstrat", "quickstart"),
        ("split=kfold", "k_fold"),
        ("hydra.sweeper.n_trial=3", "hydra.sweeper.n_trials"),
        ("n_trials=3", "hydra.sweeper.n_trials"),
    ],
)
def test_a_mistyped_override_is_answered_with_what_was_meant(override: str, meant: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed(override)
    message = str(translate(caught.value))
    assert "did you mean" in message
    assert meant in message.partition("did you mean")[2]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["hydra.sweeper.folds=3"], "no sweep of covidlit is chosen"),
        (["sweep=csacnet", "hydra.sweeper.pruner.warm=3"], "+hydra.sweeper.pruner.warm="),
        (["hydra.sweeper.pruner.n_warmup=3"], "no sweep of covidlit is chosen"),
    ],
)
def test_a_setting_that_this_sweep_lacks_says_what_to_do(overrides: list[str], said: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed(*overrides)
    assert said in str(translate(caught.value))


@pytest.mark.parametrize(
    ("override", "where", "said"),
    [
        ("~seedd", "seedd", "did you mean seed"),
        ("modell@foo=csacnet", "modell", "did you mean model"),
        ("trainer.foo.bar=1", "trainer.foo", "no setting or group"),
        ("seed=[1", "seed=[1", "seed=[1"),
        ("+seed=1", None, "already at 'seed'"),
    ],
)
def test_what_cannot_be_parsed_deleted_or_added_is_named(
    override: str, where: str | None, said: str
) -> None:
    with pytest.raises(HydraException) as caught:
        composed(override)
    error = translate(caught.value, ["-m", override, "seed=1"])
    assert error.where == where
    assert said in str(error)


@pytest.mark.parametrize(
    "override",
    ["trainer.max_steps=5", "trainer.overfit_batches=2", "model.task.optimizer.weight_decay=0.1"],
)
def test_an_argument_that_conf_does_not_list_is_answered_with_how_to_set_it(override: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed(override)
    fix = translate(caught.value, [override]).fix
    assert fix is not None
    offered = fix.partition("write ")[2].removesuffix(".")
    name, _, value = override.partition("=")
    assert str(OmegaConf.select(OmegaConf.create(composed(offered)), name)) == value


@pytest.mark.parametrize("name", ["callbacks", "limit_test_batches"])
def test_what_a_run_does_not_read_is_not_offered(name: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed(f"trainer.{name}=null")
    assert UNUSED[name] in str(translate(caught.value))
    with pytest.raises(ConfigError, match=f"trainer.{name}: a run does not read it"):
        check_trainer_settings({name: None})


@pytest.mark.parametrize("data", ["synthetic", "manifest"])
def test_a_setting_of_another_choice_of_its_group_says_so(data: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed(f"data={data}", "inclusion=none", "inclusion.on_missing=exclude")
    assert str(translate(caught.value)) == (
        "inclusion.on_missing: the choice made in the group 'inclusion' has no such setting. "
        "Fix: choose another: inclusion= one of none, paper, slices."
    )


def test_the_choice_that_lacks_a_setting_is_not_offered() -> None:
    asked = ["model=resnet3d", "model.task.net.activation_checkpointing=true"]
    with pytest.raises(HydraException) as caught:
        composed(*asked)
    fix = str(translate(caught.value, asked).fix)
    assert "csacnet" in fix
    assert "resnet3d" not in fix
    # Of several runs each job composes one; which of them lacks the setting is not known here.
    asked[0] = "model=resnet3d,densenet3d"
    assert "csacnet" in str(translate(caught.value, asked).fix)


def test_criteria_and_label_rules_list_all_their_arguments() -> None:
    assert instantiate(composed()["inclusion"]) == InclusionCriteria()
    excluding = composed("inclusion.on_missing=exclude")["inclusion"]
    assert instantiate(excluding) == InclusionCriteria(on_missing="exclude")
    assert excluding.keys() - {"_target_"} == vars(InclusionCriteria()).keys()
    for rule, made in (("paper", LabelRule), ("by_class", ByClass), ("multi_class", MultiClass)):
        node = composed(f"label_rule={rule}")["label_rule"]
        assert node.keys() - {"_target_"} == signature(made).parameters.keys()
        assert vars(instantiate(node)) == vars(made())


@pytest.mark.parametrize(
    ("choice", "path", "made", "filled_in"),
    [
        ("model=csacnet", "model.task", VolumeClassification, {"net", "n_classes"}),
        ("model=csacnet", "model.task.net", CSACNet3D, {"in_channels", "n_outputs"}),
        ("model=resnet3d", "model.task", VolumeClassification, {"net", "n_classes"}),
        ("model=resnet3d", "model.task.net", ResNet3D, {"in_channels", "n_outputs"}),
        ("model=densenet3d", "model.task.net", DenseNet3D, {"in_channels", "n_outputs"}),
        ("model=maskrcnn", "model.task", LesionSegmentation, {"net"}),
        ("model=maskrcnn", "model.task.net", MaskRCNN, {"n_classes", "in_channels"}),
        ("data=synthetic", "data", VolumeDataModule, OF_OTHER_NODES),
        ("data=manifest", "data", VolumeDataModule, OF_OTHER_NODES),
    ],
)
def test_every_argument_can_be_set_and_stands_with_its_default(
    choice: str, path: str, made: type, filled_in: set[str]
) -> None:
    node = OmegaConf.select(OmegaConf.create(composed(choice)), path)
    known = {k: v for k, v in signature(made).parameters.items() if k not in filled_in}
    own = {"_target_", "net", "source", "min_slices", "override_checks", "image_orientation"}
    assert node.keys() - own == known.keys()
    chosen = {"cache_dir", "geometry", "num_workers", "optimizer", "scheduler"}
    for name in known.keys() - chosen:
        assert as_lists(node[name]) == as_lists(known[name].default), name


def as_lists(value: object) -> object:
    """Sequences as lists, whether they come from YAML or from Python."""
    return list(map(as_lists, value)) if isinstance(value, list | tuple | ListConfig) else value


def test_a_manifest_is_used_whole_unless_criteria_are_chosen() -> None:
    own = ["data=manifest", "data.source.path=m.csv"]
    assert composed()["inclusion"]["_target_"].endswith("InclusionCriteria")
    assert composed(*own)["inclusion"] == {}
    assert composed("experiment=csacnet_paper", "data.source.path=m.csv")["inclusion"] == {}
    assert composed(*own, "inclusion=paper")["inclusion"] == composed()["inclusion"]


def test_what_a_class_says_about_its_settings_is_not_wrapped() -> None:
    with pytest.raises(InstantiationException) as missing:
        instantiate({"_target_": "covidlit.cohort.sources.existing_manifest", "path": "none.csv"})
    error = translate(missing.value)
    assert isinstance(error, ManifestError)
    assert str(error).startswith("none.csv: there is no such manifest.")

    with pytest.raises(InstantiationException) as wrong:
        instantiate({"_target_": "pytorch_lightning.Trainer", "max_epoch": 3})
    error = translate(wrong.value)
    assert error.where == "pytorch_lightning.trainer.trainer.Trainer"
    assert "unexpected keyword argument 'max_epoch'" in error.what


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("no_such_package.loggers.Logger", "pip install 'no_such_package'"),
        ("covidlit.models.NoSuchNet", "correct the settings"),  # no package is missing here
    ],
)
def test_a_package_that_is_not_installed_is_named(target: str, answer: str) -> None:
    with pytest.raises(InstantiationException) as caught:
        instantiate({"_target_": target})
    error = translate(caught.value)
    assert error.where == target
    assert error.fix is not None
    assert answer in error.fix


def test_the_command_prints_the_suggestion_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "train.py", "modell=csacnet"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "did you mean model" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data=manifest",
            "data.source.path: it is not set. Fix: give data.source.path=manifest.csv",
        ),
        ("name=${nope}", "name: Interpolation key 'nope' not found"),
    ],
)
def test_a_value_that_is_not_there_is_named_without_a_traceback(
    override: str, message: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "train.py", override, f"hydra.run.dir={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_paper_protocol_is_the_papers() -> None:
    config = composed("experiment=csacnet_paper")
    assert config["data"]["batch_size"] == 10
    assert config["trainer"]["max_epochs"] == 75
    assert config["split"]["validation_fraction"] == 0
    assert config["evaluation"]["operating_point"] == 0.5
    assert "best" not in config["callbacks"]
    task = config["model"]["task"]
    optimizer = {"_target_": "torch.optim.Adam", "lr": 1e-3, "weight_decay": 0.0}
    assert {k: v for k, v in task["optimizer"].items() if k != "fused"} == optimizer
    assert task["scheduler"] is None
    assert (task["loss"], task["class_weights"], config["data"]["balanced"]) == ("bce", None, False)
    assert config["trainer"]["gradient_clip_val"] is None
    assert config["trainer"]["accumulate_grad_batches"] == 1
    assert config["augmentation"] == {
        "scales": [0.9, 1.1], "degrees": 15, "in_plane": True, "flip_axes": ["LR", "AP"]
    }  # fmt: skip


def test_the_demo_can_be_run_without_augmentation() -> None:
    """Values in the experiment's own file would stand whatever group is chosen."""
    assert composed("experiment=quickstart")["augmentation"]["flip_axes"] == ["LR"]
    assert not composed("experiment=quickstart", "augmentation=none")["augmentation"]


def test_the_paper_protocol_stands_in_its_own_file() -> None:
    config = composed("experiment=csacnet_paper")
    folder = config_dir() / "experiment"
    study = yaml.safe_load((folder / "csacnet_paper.yaml").read_text())
    network = yaml.safe_load((folder / "csacnet_paper" / "csacnet.yaml").read_text())
    where_and_how_fast = {"_target_", "source", "cache_dir", "num_workers", "n_jobs", "backend"}
    how_fast = {"channels_last", "compile"}
    assert study["data"] == {k: v for k, v in config["data"].items() if k not in where_and_how_fast}
    task, written = config["model"]["task"], network["task"]
    layers = {
        "_target_", "width", "n_modules", "blocks", "dilations", "subnet_width", "hidden",
        "cross_layers",
            "activation_checkpointing",  # the same bits, in less memory
    }  # fmt: skip
    assert written["net"] == {k: v for k, v in task["net"].items() if k not in layers}
    assert {**task, **written, "net": task["net"]} == task
    assert task["loss"] != "focal"  # so its gamma has no effect
    assert written.keys() == task.keys() - {"_target_", "focal_gamma"} - how_fast


def test_the_paper_protocol_trains_the_other_network_too() -> None:
    task = composed("experiment=csacnet_paper", "model=resnet3d")["model"]["task"]
    net = task["net"]
    assert task["scheduler"] is None  # the default is another
    assert net.pop("_target_") == "covidlit.models.ResNet3D"
    assert net.keys() <= signature(ResNet3D).parameters.keys()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("model", ["svm", "random_forest"])
def test_a_study_of_networks_leaves_the_settings_of_a_baseline_alone(
    experiment: str, model: str
) -> None:
    study = composed(f"experiment={experiment}", f"model={model}")
    assert study["model"] == composed(f"model={model}")["model"]
    assert study["data"] == composed(f"experiment={experiment}")["data"]


@pytest.mark.parametrize("name", TRAINERS)
def test_no_setting_of_the_trainer_is_there_that_nothing_uses(name: str) -> None:
    node = composed(f"trainer={name}")["trainer"]
    used = signature(pl.Trainer).parameters.keys() - UNUSED.keys()
    assert node.keys() - {"_target_"} <= used


def test_the_honest_variant_differs_only_in_what_is_selected_on() -> None:
    paper, honest = (
        composed("experiment=csacnet_paper"),
        composed("experiment=csacnet_paper_honest"),
    )
    differing = {key for key in paper if paper[key] != honest[key]}
    assert differing == {"name", "callbacks", "split", "evaluation"}
    assert honest["split"]["validation_fraction"] == 0.1
    assert honest["evaluation"]["operating_point"] == "youden"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment: str) -> None:
    assert composed(f"experiment={experiment}")["model"]["_target_"].startswith("covidlit.")


@pytest.mark.parametrize(
    "group", [
        "data", "label_rule", "split", "model", "trainer", "callbacks", "logger", "debug",
        "augmentation", "evaluation",
    ],
)  # fmt: skip
def test_every_choice_composes(group: str) -> None:
    for path in sorted((config_dir() / group).glob("*.yaml")):
        composed(f"{group}={path.stem}")


@pytest.mark.parametrize(
    ("chosen", "setting", "given", "expected"),
    [
        (
            ["data=clinical", "model=svm"],
            "data.hospitals",
            "{north: {path: north.csv, mapping: north.yaml}}",
            {"north": {"path": "north.csv", "mapping": "north.yaml"}},
        ),
        (["data=factors", "model=svm"], "data.nothing_found", "{form: 1.0}", {"form": 1.0}),
    ],
)
def test_a_mapping_of_the_users_own_keys_is_taken_whole(
    chosen: list[str], setting: str, given: str, expected: dict[str, object]
) -> None:
    # Hydra adds no key to a mapping that is there and empty: such a setting is null by default.
    node: Any = composed(*chosen, f"{setting}={given}")
    for name in setting.split("."):
        node = node[name]
    assert node == expected
