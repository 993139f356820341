"""The memory that one step of a training takes, found out before the first one."""

from __future__ import annotations

import copy
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covidlit.tasks.base import BaseTask

_SCRATCH = 1.25
"""What a step takes on a CPU beyond the tensors that live at once: copies in the layouts of the
convolutions, and gaps between tensors; see `benchmarks/step_memory.py`."""

_LIBRARIES = 150_000_000
"""Bytes of compiled kernels, caches of the convolutions, and the optimizer's small change."""


@dataclass(frozen=True)
class StepMemory:
    """What a training step takes beyond what the process holds before the first one.

    Args:
        weights: bytes of gradients and of the optimizer's two moments; on a GPU of the weights too.
        activations: the most bytes of other tensors that live at once, by number of rows.
        rows: per batch.
        loaders: bytes of the batches that wait, with those being made.
    """

    weights: int
    activations: int
    rows: int
    loaders: int

    def of(self, rows: int) -> int:
        """Bytes with another number of rows per batch; activations and batches grow with it."""
        grown = (_SCRATCH * self.activations + self.loaders) * rows / self.rows
        return int(self.weights + grown + _LIBRARIES)

    @property
    def total(self) -> int:
        """Bytes with the rows that it was found for."""
        return self.of(self.rows)


def step_memory(
    task: BaseTask,
    input_record: Mapping[str, Any],
    rows: int,
    *,
    num_workers: int = 0,
    precision: str = "32-true",
    on_gpu: bool = False,
) -> StepMemory | None:
    """What a step of this task takes, from its graph: nothing is computed.

    Forward and backward pass run on torch's meta device, on which tensors have a size and no
    content, while every tensor is counted from its making to its end.

    Args:
        task: gives batch and graph (`BaseTask.example_batch`, `BaseTask.graph_of`).
        input_record: of `CohortData.input_record`.
        rows: per batch and device.
        num_workers: loader processes, each of which prepares two batches ahead.
        precision: of the Trainer; the mixed ones keep about half of what the others keep.
        on_gpu: whether the weights are copied there.

    Returns:
        None where the graph cannot be followed without the content of the tensors.
    """
    trace = _trace(task, input_record, rows)
    if trace is None or trace.peak is None:
        return None
    size = sum(p.numel() * p.element_size() for p in task.parameters() if p.requires_grad)
    share = 0.6 if precision.endswith("mixed") else 0.5 if precision in _HALF else 1.0
    waiting = (2 + 2 * num_workers) * trace.batch
    return StepMemory((4 if on_gpu else 3) * size, int(share * trace.peak), rows, waiting)


def step_error(task: BaseTask, input_record: Mapping[str, Any], rows: int) -> str | None:
    """What a layer says against a step with so many rows; nothing is computed.

    Args:
        task, input_record, rows: see `step_memory`.

    Returns:
        The message of torch's ValueError, which is about the size of a tensor; None where there is
        none, or where the graph cannot be followed.
    """
    trace = _trace(task, input_record, rows)
    return None if trace is None else trace.error


@dataclass(frozen=True)
class _Trace:
    """What a step on the meta device has shown.

    Args:
        batch: bytes of the batch.
        peak: the most bytes of other tensors that lived at once; None where the step failed.
        error: the message of a layer's ValueError, or None.
    """

    batch: int
    peak: int | None
    error: str | None = None


_TRACES: dict[tuple[Any, ...], _Trace | None] = {}
"""Of the steps of this process: all folds of a cross-validation take the same."""


def _trace(task: BaseTask, input_record: Mapping[str, Any], rows: int) -> _Trace | None:
    """A step of the task; None where its graph cannot be followed."""
    trained = tuple(p.requires_grad for p in task.parameters())
    key = (type(task), repr(task.hparams), trained, repr(input_record), rows)
    if key not in _TRACES:
        _TRACES[key] = _follow(task, input_record, rows)
    return _TRACES[key]


def _follow(task: BaseTask, input_record: Mapping[str, Any], rows: int) -> _Trace | None:
    twin = _twin(task)
    try:
        with torch.device("meta"):
            batch = twin.example_batch(input_record, rows)
        with _LiveTensors() as live:
            twin.graph_of(batch).backward()
    except ValueError as error:
        return _Trace(0, None, str(error))
    except (NotImplementedError, RuntimeError):
        return None
    return _Trace(_bytes(batch), live.peak)


def _twin(task: BaseTask) -> BaseTask:
    """The task in training, without the content of its tensors."""
    twin = copy.copy(task)
    # Neither the weights nor their gradients are touched: the twin gets modules of its own.
    twin._modules = {name: _on_meta(module) for name, module in task._modules.items()}
    twin.train()
    return twin


_HALF = ("bf16-true", "16-true")


def _bytes(batch: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tree_leaves(batch) if isinstance(t, Tensor))


def _on_meta(module: torch.nn.Module | None) -> torch.nn.Module | None:
    if module is None:
        return None
    with torch.device("meta"):
        memo = {id(p): _empty(p) for p in [*module.parameters(), *module.buffers()]}
        twin = copy.deepcopy(module, memo)
    for each in twin.modules():
        each._compiled_call_impl = None  # torch.compile has nothing to trace here
    return twin


def _empty(value: Tensor) -> Tensor:
    like = torch.empty_like(value, device="meta")
    if isinstance(value, torch.nn.Parameter):
        return torch.nn.Parameter(like, value.requires_grad)
    return like


class _LiveTensors(TorchDispatchMode):
    """Counts the bytes of tensors from the operation that makes them to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self._live:
                    self._live[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self._live.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self._live.values()))
        return made
