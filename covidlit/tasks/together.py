"""Several severity predictions trained as one: the folds of a cross-validation side by side.

Each network takes so little that a step costs what PyTorch's calls cost. All members of all folds
are therefore stacked into the same few calls. What each learns is what it would learn alone: the
same rows in the same order, the same first weights, and an optimizer that looks at each weight by
itself; so the result differs by rounding alone (`tests/tasks/test_together.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from covidlit.models.fusion_ann.network import FusionANN
from covidlit.tasks.base import diverged
from covidlit.tasks.schedules import (
    PER_STEP,
    make_optimizer,
    make_scheduler,
    refusals_named,
    scheduler_name,
)
from covidlit.tasks.threads import torch_threads

if TYPE_CHECKING:
    from covidlit.datamodules.split_datamodule import SplitDataModule
    from covidlit.tasks.severity import SeverityPrediction

ELEMENTWISE = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")
"""Optimizers of torch in which a weight's step hangs on its own gradients alone."""


def can_be_together(task: SeverityPrediction, trainer: Mapping[str, Any]) -> bool:
    """Whether a stack learns what the task would learn alone with these settings of a Trainer."""
    optimizer = str(task.hparams["optimizer"]["_target_"]).rpartition(".")[2]
    scheduler = task.hparams["scheduler"]
    name = scheduler_name(scheduler)
    plain = {
        "accelerator": ("cpu",), "devices": (1, "auto", None), "precision": ("32-true", None),
        "gradient_clip_val": (None, 0), "accumulate_grad_batches": (1, None),
        "fast_dev_run": (False, None), "limit_train_batches": (None, 1.0),
        "max_steps": (-1, None), "max_time": (None,), "overfit_batches": (0, 0.0, None),
    }  # fmt: skip
    return (
        isinstance(task.net, FusionANN)
        and optimizer in ELEMENTWISE
        and (not scheduler or name in PER_STEP)
        and not task.hparams["net"].get("dropout")
        and isinstance(trainer.get("max_epochs"), int)
        and trainer["max_epochs"] > 0
        and all(trainer.get(key) in values for key, values in plain.items())
    )


def fit_together(
    tasks: Sequence[SeverityPrediction],
    data: Sequence[SplitDataModule],
    max_epochs: int,
    advance: Callable[[], None] = lambda: None,
    expect: Callable[[int], None] = lambda number: None,
) -> None:
    """Train tasks, each on its own data, in place.

    Args:
        tasks: alike but for their data, their features and their seeds.
        data: of each, set up.
        max_epochs: of each.
        advance: called after each epoch of a stack.
        expect: called with the number of epochs of all stacks, before the first.

    Raises:
        TrainingError: a loss is not finite.
    """
    stacks: dict[tuple[int, int], list[_Trained]] = {}
    for task, own in zip(tasks, data, strict=True):
        one = _Trained(task, own)
        stacks.setdefault((one.features.shape[1], one.n_batches), []).append(one)
    expect(max_epochs * len(stacks))
    with torch_threads(1):  # so small that threads cost more than they save
        for stack in stacks.values():
            _fit(stack, max_epochs, advance)


class _Trained:
    """A task, the prepared rows that it learns from, and the order in which it sees them."""

    def __init__(self, task: SeverityPrediction, data: SplitDataModule) -> None:
        self.task = task
        self.net = cast("Any", task.net)
        loader = data.train_dataloader()
        self.sampler: Any = loader.sampler
        dataset: Any = loader.dataset
        task.hold_out(data.rows_of("train"), dataset.key)
        with torch.no_grad():
            self.features: Tensor = self.net.prepared(dataset.numbers)
        self.dataset = dataset
        self.target = torch.from_numpy(np.asarray(dataset.targets))
        self.names = [str(name) for name in dataset.names]
        self.key = dataset.key
        self.batch_size, self.drop_last = int(loader.batch_size or 1), loader.drop_last
        n = len(list(self.sampler))
        self.n_batches = n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each batch of an epoch."""
        self.sampler.set_epoch(epoch)
        rows = np.array([draw.row for draw in self.sampler])
        ends = range(0, self.n_batches * self.batch_size, self.batch_size)
        return [rows[start : start + self.batch_size] for start in ends]

    def batch(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """As the loader gives it, without the numbers."""
        return {"target": self.target[rows], self.key: [self.names[row] for row in rows]}


def _fit(stack: Sequence[_Trained], max_epochs: int, advance: Callable[[], None]) -> None:
    first = stack[0].task
    net: Any = first.net
    members = [one.net.members for one in stack]
    names = [name for name, _ in net.named_parameters()]
    own = [dict(one.net.named_parameters()) for one in stack]
    stacked = {
        name: nn.Parameter(torch.cat([each[name].detach() for each in own])) for name in names
    }
    optimizer, scheduler = _optimizer(first, list(stacked.values()), stack[0].n_batches, max_epochs)
    for epoch in range(max_epochs):
        seen = [one.batches(epoch) for one in stack]
        for number in range(stack[0].n_batches):
            loss = _step(net, stacked, stack, [each[number] for each in seen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                with refusals_named(first.hparams["scheduler"], "scheduler"):
                    scheduler.step()
        if not torch.isfinite(loss.detach()):
            raise diverged(f"train_loss is {float(loss.detach())} in epoch {epoch}")
        advance()
    for place, one in enumerate(stack):
        start = sum(members[:place])
        with torch.no_grad():
            for name, parameter in one.net.named_parameters():
                parameter.copy_(stacked[name][start : start + members[place]])
        one.task.calibrate(one.dataset)


def _step(
    net: nn.Module,
    stacked: dict[str, nn.Parameter],
    stack: Sequence[_Trained],
    rows: Sequence[NDArray[np.int64]],
) -> Tensor:
    """The sum of all losses; shorter batches are filled up."""
    size = max(len(each) for each in rows)
    inputs, targets, weights = [], [], []
    for one, chosen in zip(stack, rows, strict=True):
        fill, count = size - len(chosen), one.net.members
        features = functional.pad(one.features[chosen], (0, 0, 0, fill))
        inputs.append(features.expand(count, -1, -1))
        targets.append(functional.pad(one.target[chosen].float(), (0, fill)).expand(count, -1))
        weights.append(functional.pad(one.task.weights_of(one.batch(chosen)), (0, fill)))
    logits = _call(net, stacked, torch.cat(inputs))
    losses = functional.binary_cross_entropy_with_logits(
        logits, torch.cat(targets), reduction="none"
    )
    return (losses * torch.cat(weights)).sum()


def _call(net: nn.Module, stacked: dict[str, nn.Parameter], x: Tensor) -> Tensor:
    return functional_call(_OfPrepared(net), {f"net.{k}": v for k, v in stacked.items()}, (x,))


class _OfPrepared(nn.Module):
    """The network behind its preparation."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net.of_prepared(x)  # type: ignore[operator]
        return found


def _optimizer(
    task: SeverityPrediction, parameters: list[nn.Parameter], n_batches: int, max_epochs: int
) -> tuple[torch.optim.Optimizer, Any]:
    """As `BaseTask.configure_optimizers` makes them, of the stack's parameters."""
    optimizer = make_optimizer(task.hparams["optimizer"], parameters)
    node = task.hparams["scheduler"]
    return optimizer, make_scheduler(
        node, optimizer, lambda: n_batches * max_epochs
    ) if node else None
