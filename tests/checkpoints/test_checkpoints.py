"""Checkpoints: opened safely, refused clearly."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from volume_records import volume_record

from covidlit.checkpoints import ALLOWED_TARGETS, is_allowed
from covidlit.checkpoints.file import load_checkpoint, read_record, update_record
from covidlit.checkpoints.record import RunRecord
from covidlit.checkpoints.same_run import check_same_run
from covidlit.errors import CheckpointError, ConfigError, CovidlitError
from covidlit.settings.targets import allow_target, build
from covidlit.tasks import VolumeClassification
from covidlit.tasks.load import load_task


def _check_same_run(path: Path, task: VolumeClassification, record: dict[str, Any]) -> str:
    return check_same_run(path, task.hparams, task.state_dict(), record)


NET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "hidden": [8, 8]}
CONFIG: dict[str, Any] = {
    "data": {
        "geometry": {"spacing": [5.0, 1.5, 1.5], "size": [16, 32, 32]},
        "window": [-1000, 400],
        "override_checks": ["gantry_tilt"],
    },
    "model": {"name": "csacnet"},
    "label_rule": {"classes": None},
    "trainer": {"max_epochs": 3},
}


def make_task(**arguments: Any) -> VolumeClassification:
    torch.manual_seed(0)
    return VolumeClassification(**{"net": NET, **arguments})


def save(task: VolumeClassification, path: Path) -> Path:
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = make_task()
    task.record = volume_record(CONFIG, split_hash="abc")
    return save(task, tmp_path_factory.mktemp("run") / "best.ckpt")


@pytest.fixture
def path(saved: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may change."""
    return Path(shutil.copy(saved, tmp_path))


def rewrite(path: Path, **changes: Any) -> Path:
    """The same checkpoint with some of its content replaced."""
    content = torch.load(path, weights_only=True)
    torch.save(content | changes, path)
    return path


class Payload:
    """Pickles as a call that leaves a marker file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def test_a_task_comes_back_with_its_weights_and_record(path: Path) -> None:
    task = load_task(path)
    assert isinstance(task, VolumeClassification)
    assert not task.training
    expected = make_task().state_dict()
    assert all(torch.equal(task.state_dict()[name], expected[name]) for name in expected)
    record = RunRecord.model_validate(task.record)
    assert record.split_hash == "abc"
    assert record.preprocess.geometry.size == (16, 32, 32)
    assert record.preprocess.window == (-1000, 400)
    assert record.preprocess.override_checks == ["gantry_tilt"]
    assert record.config == CONFIG
    versions = load_checkpoint(path)["covidlit"]["versions"]
    assert set(versions) == {"covidlit", "python", "torch", "pytorch_lightning"}


def test_a_pickle_payload_is_named_and_never_executed(path: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    rewrite(path, payload=Payload(marker))
    with pytest.raises(CheckpointError, match=r"posix\.system") as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert "trust" in str(error.value)
    assert not marker.exists()
    # The payload is real: an unsafe reader runs it.
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "bare.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": Payload(marker)}))
    for reader in (load_checkpoint, load_task):
        with pytest.raises(CheckpointError):
            reader(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.run",
        "covidlit.models.csacnet.torch.hub.load",
        "covidlit.models.csacnet.torch",
        "covidlit.models.layers.nn",
        "covidlit.models",
        "covidlit.models.CSACNet3D.__init__",
        "covidlit.modelsevil.Net",
        "covidlit.models.resnet3d.ResNet",
        "covidlit.models..CSACNet3D",
        "torch.optim.lr_scheduler.LambdaLR",
        "torch.optim.swa_utils.SWALR",
        "torch.load",
        7,
        None,
    ],
)
@pytest.mark.parametrize("place", ["net", "optimizer", "nested", "task"])
def test_a_target_outside_the_allow_list_is_refused(target: Any, place: str, path: Path) -> None:
    assert not is_allowed(target)
    content = torch.load(path, weights_only=True)
    parameters, own = content["hyper_parameters"], content["covidlit"]
    node = {"_target_": target, "command": "touch executed"}
    if place == "task":
        own["task"] = target
    elif place == "nested":
        parameters["net"]["hidden"] = [8, {"deep": node}]
    else:
        parameters[place] = node
    rewrite(path, hyper_parameters=parameters, covidlit=own)
    with pytest.raises(CheckpointError, match="untrusted") as error:
        load_task(path)
    assert repr(target) in str(error.value)


def test_a_class_is_built_only_as_its_own_kind() -> None:
    assert is_allowed("torch.optim.Adam")
    with pytest.raises(ConfigError, match="not one of the models"):
        build({"_target_": "torch.optim.Adam"}, "models")
    with pytest.raises(ConfigError, match="did you mean"):
        build({"_target_": "torch.optim.Adamm"}, "optimizers", params=[])


def test_every_allowed_name_exists_and_modules_own_classes_are_allowed() -> None:
    import importlib

    for names in ALLOWED_TARGETS.values():
        for name in names:
            module, _, attribute = name.rpartition(".")
            assert callable(getattr(importlib.import_module(module), attribute)), name
    assert is_allowed("covidlit.models.csacnet.CSACNet3D", "models")
    assert is_allowed("covidlit.tasks.classification.VolumeClassification", "tasks")


def test_a_class_of_ones_own_can_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_nets.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, n_outputs):\n"
        "        super().__init__()\n"
        "        self.linear = nn.Linear(1, n_outputs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ALLOWED_TARGETS, "models", set(ALLOWED_TARGETS["models"]))
    with pytest.raises(ConfigError, match="allow_target"):
        make_task(net={"_target_": "my_nets.Net"})
    allow_target("my_nets.Net")
    path = save(make_task(net={"_target_": "my_nets.Net"}), tmp_path / "own.ckpt")
    assert type(load_task(path).net).__name__ == "Net"


def test_files_that_are_no_checkpoint(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "none.ckpt")
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").touch()
    with pytest.raises(CheckpointError, match=r"no such file.*choose one of last\.ckpt"):
        load_checkpoint(checkpoints / "best.ckpt")
    with pytest.raises(CheckpointError, match=r"a folder.*choose one of checkpoints/last\.ckpt"):
        load_checkpoint(tmp_path / "run")
    content = path.read_bytes()
    garbage = [b"", b"hello", b"(u", b"M1"]  # a key, a list, a length that are not there
    for damaged in (*garbage, content[: len(content) // 2], content[:-100], content[50:]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError) as error:
            load_checkpoint(path)
        size = len(damaged)
        assert error.value.what == f"the file ({size} bytes) is truncated or not a checkpoint."
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="not a checkpoint of covidlit: it holds list"):
        load_checkpoint(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of covidlit"):
        load_checkpoint(path)


MISSING = object()


def _replaced(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    *way, last = place.split("/")
    inner = content
    for name in way:
        inner = inner[name]
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return content


@pytest.mark.parametrize("value", [None, [1], MISSING])
@pytest.mark.parametrize("place", ["hyper_parameters", "state_dict", "covidlit/record", "covidlit"])
def test_a_checkpoint_whose_parts_are_not_there_is_refused(
    place: str, value: Any, path: Path
) -> None:
    torch.save(_replaced(torch.load(path, weights_only=True), place, value), path)
    use: Any
    for use in (load_checkpoint, load_task, lambda path: update_record(path, operating_point=0.5)):
        with pytest.raises(CheckpointError) as error:
            use(path)
        assert error.value.where == str(path)


def test_a_weight_that_is_no_tensor_is_named(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    name = next(iter(content["state_dict"]))
    rewrite(path, state_dict={**content["state_dict"], name: None})
    with pytest.raises(CheckpointError, match=f"state_dict.{name}` is a tensor .* NoneType here"):
        load_task(path)


@pytest.mark.parametrize("place", ["config", "config/trainer"])
def test_a_record_without_its_trainer_is_refused(place: str, path: Path) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(_replaced(content, f"covidlit/record/{place}", None), path)
    with pytest.raises(CheckpointError, match=r"incomplete \(config"):
        read_record(load_checkpoint(path), path)
    cycle = {"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
    content["hyper_parameters"]["scheduler"] = cycle
    torch.save(content, path)
    # To go on from it, nothing is asked that it cannot answer.
    _check_same_run(path, make_task(scheduler=cycle), volume_record(CONFIG, split_hash="abc"))


def test_another_format_is_refused(path: Path) -> None:
    own = torch.load(path, weights_only=True)["covidlit"]
    rewrite(path, covidlit={**own, "format": 99})
    with pytest.raises(CheckpointError, match="format 99"):
        load_checkpoint(path)


def test_weights_of_another_model_are_named(path: Path) -> None:
    parameters = torch.load(path, weights_only=True)["hyper_parameters"]
    wider = {**parameters, "net": {**parameters["net"], "width": 8}}
    rewrite(path, hyper_parameters=wider)
    with pytest.raises(CheckpointError, match=r"another model.*instead of"):
        load_task(path)
    other = {"_target_": "covidlit.models.ResNet3D", "depth": 10, "width": 4}
    rewrite(path, hyper_parameters={**parameters, "net": other})
    with pytest.raises(CheckpointError, match=r"missing.*unexpected"):
        load_task(path)


@pytest.mark.parametrize("wrong", [{"width": "four"}, {"widht": 4}, {"width": -1}])
def test_hyper_parameters_that_describe_no_network(wrong: dict[str, Any], path: Path) -> None:
    parameters = torch.load(path, weights_only=True)["hyper_parameters"]
    parameters["net"] |= wrong
    rewrite(path, hyper_parameters=parameters)
    with pytest.raises(CheckpointError, match="do not describe a network"):
        load_task(path)


def test_a_run_goes_on_only_as_it_was(path: Path) -> None:
    record = volume_record(CONFIG, split_hash="abc")
    _check_same_run(path, make_task(), record)
    with pytest.raises(CheckpointError, match="net was"):
        _check_same_run(path, make_task(net={**NET, "width": 8}), record)
    with pytest.raises(CheckpointError, match="split_hash was 'abc' and is 'xyz'"):
        _check_same_run(path, make_task(), volume_record(CONFIG, split_hash="xyz"))
    window = {**CONFIG, "data": {**CONFIG["data"], "window": [-1000, 1000]}}
    with pytest.raises(CheckpointError, match=r"data.window was \[-1000.*\] and is \[-1000.*\]"):
        _check_same_run(path, make_task(), volume_record(window, split_hash="abc"))


def test_a_schedule_keeps_its_length(path: Path) -> None:
    longer = volume_record({**CONFIG, "trainer": {"max_epochs": 9}}, split_hash="abc")
    _check_same_run(path, make_task(), longer)  # a constant rate has no length
    cycle = {"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
    task = make_task(scheduler=cycle)
    task.record = volume_record(CONFIG, split_hash="abc")
    path = path.with_name("cycle.ckpt")
    parameters = dict(task.hparams)
    torch.save(
        torch.load(path.with_name("best.ckpt"), weights_only=True)
        | {"hyper_parameters": parameters},
        path,
    )
    with pytest.raises(CheckpointError, match=r"max_epochs was 3 and is 9") as error:
        _check_same_run(path, make_task(scheduler=cycle), longer)
    assert "OneCycleLR lays the learning rate out over the whole length" in error.value.what
    assert "start one in another folder, without ckpt_path" in str(error.value.fix)
    assert "model.task.scheduler=null" in str(error.value.fix)


def test_the_operating_point_is_added_after_training(path: Path) -> None:
    update_record(path, operating_point=0.25)
    record = read_record(load_checkpoint(path), path)
    assert record.operating_point == 0.25
    assert record.split_hash == "abc"
    load_task(path)
    with pytest.raises(CheckpointError, match="operating_piont"):
        update_record(path, operating_piont=0.25)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_incomplete_record_says_what_is_missing(tmp_path: Path) -> None:
    path = save(make_task(), tmp_path / "bare.ckpt")
    load_task(path)  # a task trained through the Python API needs no run
    with pytest.raises(CheckpointError, match="preprocess: Field required"):
        read_record(load_checkpoint(path), path)
    with pytest.raises(CovidlitError, match="preprocess"):
        update_record(path, operating_point=0.5)
