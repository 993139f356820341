"""VolumeClassification trains, tests, predicts and comes back from its checkpoint."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sklearn.metrics import roc_auc_score
from torch import nn

from covidlit.checkpoints.file import load_checkpoint
from covidlit.errors import CheckpointError, ConfigError
from covidlit.settings.tree import config_dir
from covidlit.tasks import BaseTask, VolumeClassification

TINY = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "hidden": [8, 8]}
SMALL = {
    "CSACNet3D": {"width": 4},
    "ResNet3D": {"width": 4, "depth": 10},
    "DenseNet3D": {"width": 4, "growth": 2},
}
NETWORKS = sorted(
    path.stem
    for path in (config_dir() / "model").glob("*.yaml")
    if "base/lightning@_here_" in path.read_text()
)


def make_trainer(folder: Path, **arguments: Any) -> pl.Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "enable_checkpointing": False,
        "default_root_dir": folder,
    }
    return pl.Trainer(**{**defaults, **arguments})


def task_node(model: str) -> dict[str, Any]:
    """The task of a `conf/model/*.yaml` with a small network, without its `_target_`."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [f"model={model}"])
    node = OmegaConf.to_container(config.model.task, resolve=True)
    assert isinstance(node, dict)
    assert node.pop("_target_") == "covidlit.tasks.VolumeClassification"
    node["net"] |= SMALL.get(node["net"]["_target_"].rpartition(".")[2], {})
    return {str(name): value for name, value in node.items()}


@pytest.mark.parametrize("model", NETWORKS)
def test_fit_test_resume_and_load_with_weights_only(
    model: str, tmp_path: Path, datamodule: Any
) -> None:
    arguments = task_node(model)
    task = VolumeClassification(**arguments)
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(task, datamodule=datamodule)
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)

    loaded = torch.load(path, weights_only=True)
    assert loaded["hyper_parameters"]["net"] == arguments["net"]
    tested = make_trainer(tmp_path).test(task, datamodule, ckpt_path=path, weights_only=True)
    assert {"test_loss", "test_auroc", "test_sensitivity", "test_specificity"} <= set(tested[0])
    longer = make_trainer(tmp_path, max_epochs=2)
    longer.fit(
        VolumeClassification(**arguments), datamodule=datamodule, ckpt_path=path, weights_only=True
    )
    assert longer.current_epoch == 2

    again = VolumeClassification.load_from_checkpoint(path)
    assert not again.training
    state = again.state_dict()
    for name, value in task.state_dict().items():
        assert torch.equal(state[name], value), name


def test_it_learns_and_its_metrics_are_those_of_scikit_learn(
    tmp_path: Path, datamodule: Any
) -> None:
    torch.manual_seed(0)
    # Eight normalised hidden units and an output that starts near zero need a large step.
    adam = {"_target_": "torch.optim.Adam", "lr": 1e-2}
    task = VolumeClassification(net={**TINY, "dropout": 0.0}, optimizer=adam)
    trainer = make_trainer(tmp_path, max_epochs=15)
    trainer.fit(task, datamodule=datamodule)
    assert float(trainer.callback_metrics["train_loss"]) < 0.4
    batches = make_trainer(tmp_path).predict(task, datamodule)
    assert batches is not None
    scan_ids = [name for batch in batches for name in batch["scan_id"]]
    scores = torch.cat([batch["score"] for batch in batches])
    assert scan_ids == [f"scan{i}" for i in range(8)]
    assert scores.dtype == torch.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    targets = [i % 2 for i in range(8)]
    tested = make_trainer(tmp_path).test(task, datamodule)[0]
    assert tested["test_auroc"] == pytest.approx(roc_auc_score(targets, scores.numpy()))
    positive = scores[1::2] > 0.5
    assert tested["test_sensitivity"] == pytest.approx(float(positive.float().mean()))


def test_multi_class_focal_balanced(tmp_path: Path, datamodule_class: type[Any]) -> None:
    datamodule = datamodule_class(n_scans=9, n_classes=3, batch_size=3)
    refused = pd.DataFrame({"part": "train", "target": [2, 2, None], "status": "refused"})
    datamodule.table["target"] = [0, 0, 0, 0, 0, 0, 1, 1, 2]
    datamodule.table = pd.concat([datamodule.table, refused], ignore_index=True)
    task = VolumeClassification(
        net=TINY, n_classes=3, loss="focal", class_weights="balanced", label_smoothing=0.05
    )
    trainer = make_trainer(tmp_path)
    trainer.fit(task, datamodule=datamodule)
    torch.testing.assert_close(task.class_weights, torch.tensor([9 / 18, 9 / 6, 9 / 3]))
    batches = make_trainer(tmp_path).predict(task, datamodule)
    assert batches is not None
    scores = torch.cat([batch["score"] for batch in batches])
    assert scores.shape == (9, 3)
    torch.testing.assert_close(scores.sum(1), torch.ones(9))


def test_default_optimizer_is_the_papers_adam(tmp_path: Path, datamodule: Any) -> None:
    task = VolumeClassification(net=TINY)
    trainer = make_trainer(tmp_path, fast_dev_run=True)
    trainer.fit(task, datamodule=datamodule)
    (optimizer,) = trainer.optimizers
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.param_groups[0]["lr"] == 1e-3
    assert trainer.lr_scheduler_configs == []


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        # 2 batches and 3 epochs: the rate at the sixth and last step, of a top rate of 1e-3.
        ({"_target_": "torch.optim.lr_scheduler.OneCycleLR"}, 1e-3 / 25 / 1e4),
        ({"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR"}, 1e-3 * (1 - 3**0.5 / 2) / 2),
        ({"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.5}, 1e-3 / 4),
        (
            {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 100},
            1e-3,
        ),
    ],
)
def test_schedulers_step_at_their_own_pace(
    scheduler: dict[str, Any], expected: float, tmp_path: Path, datamodule: Any
) -> None:
    task = VolumeClassification(net=TINY, scheduler=scheduler)
    rates: list[float] = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    make_trainer(tmp_path, max_epochs=3, callbacks=[Watch()]).fit(task, datamodule=datamodule)
    assert len(rates) == 6
    assert max(rates) <= 1e-3 + 1e-12
    assert rates[-1] == pytest.approx(expected, rel=1e-6)


def test_a_plateau_is_looked_for_where_there_is_a_validation(
    tmp_path: Path, datamodule: Any
) -> None:
    plateau = {
        "_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau",
        "patience": 0,
        "threshold": 2.0,
        "factor": 0.5,
    }
    task = VolumeClassification(net=TINY, scheduler=plateau)
    trainer = make_trainer(tmp_path, max_epochs=4, check_val_every_n_epoch=2)
    trainer.fit(task, datamodule=datamodule)
    # The first validation sets what the second, in the last epoch, does not reach.
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-3 / 2)


def test_one_step_is_enough_for_a_scheduler(tmp_path: Path, datamodule: Any) -> None:
    task = VolumeClassification(
        net=TINY, scheduler={"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
    )
    make_trainer(tmp_path, fast_dev_run=True).fit(task, datamodule=datamodule)


def test_a_schedule_without_an_end_is_refused(tmp_path: Path, datamodule: Any) -> None:
    task = VolumeClassification(
        net=TINY, scheduler={"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
    )
    with pytest.raises(ConfigError, match="max_epochs"):
        make_trainer(tmp_path, max_epochs=-1).fit(task, datamodule=datamodule)


def test_the_sparsity_penalty_is_part_of_the_training_loss_alone() -> None:
    torch.manual_seed(0)
    task = VolumeClassification(net={**TINY, "dropout": 0.0}, sparsity_weight=10.0)
    task.log = task.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    batch = {"image": torch.rand(2, 1, 8, 16, 16), "target": torch.tensor([0, 1])}
    train, test = (task.shared_step(batch, stage) for stage in ("train", "test"))
    penalty = task.net.sparsity()  # type: ignore[operator]
    torch.testing.assert_close(train - test, 10 * penalty, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="sparsity_weight"):
        VolumeClassification(
            net={"_target_": "covidlit.models.ResNet3D", "depth": 10, "width": 4},
            sparsity_weight=1.0,
        )


def test_channels_last_reaches_weights_and_volumes() -> None:
    task = VolumeClassification(net=TINY)
    weight = task.net.get_parameter("residual.0.0.body.3.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)
    formats = []
    task.net.get_submodule("stem").register_forward_hook(
        lambda module, inputs, output: formats.append(
            output.is_contiguous(memory_format=torch.channels_last_3d)
        )
    )
    task(torch.rand(2, 1, 8, 16, 16))
    assert formats == [True]
    plain = VolumeClassification(net=TINY, channels_last=False)
    assert plain.net.get_parameter("residual.0.0.body.3.weight").is_contiguous()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"net": {"width": 4}}, "_target_"),
        ({"net": {"_target_": "os.system", "command": "true"}}, "os.system"),
        ({"net": {"_target_": "covidlit.models.CSACNet"}}, "did you mean .*CSACNet3D"),
        ({"net": {**TINY, "widht": 4}}, "did you mean width"),
        ({"net": {**TINY, "n_outputs": 3}}, "n_outputs"),
        ({"net": nn.Identity()}, "plain YAML types"),
        ({"net": TINY, "loss": "hinge"}, "loss"),
        ({"net": TINY, "class_weights": [1.0]}, "class_weights"),
        ({"net": TINY, "n_classes": 1}, "n_classes"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        VolumeClassification(**arguments)


def test_pretrained_weights_need_not_be_there_to_load(tmp_path: Path, datamodule: Any) -> None:
    net = {"_target_": "covidlit.models.ResNet3D", "depth": 10, "width": 4}
    weights = tmp_path / "weights.pth"
    torch.save(VolumeClassification(net=net).net.get_submodule("backbone").state_dict(), weights)
    task = VolumeClassification(net={**net, "pretrained": str(weights)})
    trainer = make_trainer(tmp_path)
    trainer.fit(task, datamodule=datamodule)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    weights.unlink()
    again = VolumeClassification.load_from_checkpoint(tmp_path / "last.ckpt")
    assert again.hparams["net"]["pretrained"] is None
    assert torch.equal(
        again.state_dict()["net.backbone.conv1.weight"],
        task.state_dict()["net.backbone.conv1.weight"],
    )


def test_a_checkpoint_of_another_task_is_refused(tmp_path: Path, datamodule: Any) -> None:
    class OtherTask(VolumeClassification):
        pass

    task = VolumeClassification(net=TINY)
    task.record = {"split_hash": "abc"}
    trainer = make_trainer(tmp_path)
    trainer.fit(task, datamodule=datamodule)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    own = load_checkpoint(tmp_path / "last.ckpt")["covidlit"]
    assert own["record"] == {"split_hash": "abc"}
    assert own["versions"]["torch"] == str(torch.__version__)
    assert isinstance(BaseTask.load_from_checkpoint(tmp_path / "last.ckpt"), VolumeClassification)
    with pytest.raises(CheckpointError, match="not of a OtherTask"):
        OtherTask.load_from_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    ("precision", "clip", "fused"),
    [("16-mixed", 1.0, False), ("16-mixed", None, True), ("32-true", 1.0, True)],
)
def test_the_optimizer_is_fused_where_its_gradients_can_be_clipped(
    precision: str, clip: float | None, fused: bool
) -> None:
    task = VolumeClassification(
        net={"_target_": "covidlit.models.CSACNet3D", "width": 4},
        optimizer={"_target_": "torch.optim.Adam", "lr": 1e-3, "fused": True},
    )
    trainer: Any = SimpleNamespace(precision=precision, gradient_clip_val=clip)
    task._trainer = trainer  # a real one does 16-mixed on a GPU only
    optimizer: Any = task.configure_optimizers()
    # What Lightning asks before it clips (its plugin MixedPrecision).
    assert getattr(optimizer, "_step_supports_amp_scaling", False) is fused


def test_compiling_and_checkpointing_exclude_each_other() -> None:
    net = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "activation_checkpointing": True}
    VolumeClassification(net=net)
    with pytest.raises(ConfigError, match="cannot follow activation checkpointing"):
        VolumeClassification(net=net, compile=True)


def test_a_compiled_network_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward  # as traced, without a compiler

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    net = {**TINY, "n_modules": 3, "blocks": 1}  # what is traced quickly
    eager, compiled = (VolumeClassification(net=net, compile=asked) for asked in (False, True))
    compiled.load_state_dict(eager.state_dict())
    volumes = torch.rand(2, 1, 8, 16, 16)
    with torch.no_grad():
        scores = [task.eval().net(volumes) for task in (eager, compiled)]
    assert graphs
    torch.testing.assert_close(*scores)
