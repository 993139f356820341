"""Facts about a trained network, from its checkpoint: layers, parameters, operations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.settings.targets import build

if TYPE_CHECKING:
    import torch
    from torch import nn

    from covidlit.checkpoints.record import RunRecord


def network_facts(checkpoint: str | Path) -> dict[str, Any]:
    """Parameters, layers by kind and operations of one volume, of a checkpoint of covidlit.

    Returns:
        `file`, `epochs` (finished), `weights_hash`, `split_hash`, `synthetic`, `network` (its
        class), `arguments` (plain), `monitor` (the metric that selects a checkpoint), `n_classes`,
        `parameters`, `trainable`, `input` (z, y, x in voxels; of a table its columns), `layers`
        (number by kind), `flops`
        (None where it could not be counted, and `flops_reason`).

    Raises:
        CheckpointError: see `covidlit.checkpoints.load_checkpoint`.
    """
    import torch

    from covidlit.checkpoints.file import load_checkpoint, read_record
    from covidlit.checkpoints.weights import weights_hash

    content = load_checkpoint(checkpoint)
    record = read_record(content, checkpoint)
    node = {**content["hyper_parameters"], "_target_": content["covidlit"]["task"]}
    net_node = dict(node.get("net") or {})
    # The weights are in the file already; to count, shapes are enough.
    with torch.device("meta"):
        task: Any = build(_without_weights(node), "tasks")
    net = task.net.eval()
    size = _input_size(record)
    example = (1, 1, *size) if len(size) == 3 else (1, *size)
    flops, reason = _flops(net, torch.empty(*example, device="meta"))
    return {
        "file": Path(checkpoint).name,
        "epochs": int(content.get("epoch", -1)) + 1,
        "weights_hash": weights_hash(content["state_dict"]),
        "split_hash": record.split_hash,
        "synthetic": record.synthetic,
        "network": str(net_node.pop("_target_", "")),
        "arguments": _without_folders(net_node),
        "monitor": str(task.monitor),
        "n_classes": int(node.get("n_classes", 2)),
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "trainable": sum(weight.numel() for weight in net.parameters() if weight.requires_grad),
        "input": list(size),
        "layers": layers_by_kind(net),
        "flops": flops,
        "flops_reason": reason,
    }


def _input_size(record: RunRecord) -> tuple[int, ...]:
    """Of one row: voxels along z, y, x, or the number of columns of a table."""
    columns = getattr(record.preprocess, "columns", None)
    return record.volume_input.geometry.size if columns is None else (len(columns),)


def layers_by_kind(net: nn.Module) -> dict[str, int]:
    """How many modules of each class that hold no other module, such as `{"Conv3d": 39}`."""
    kinds = Counter(
        type(module).__name__
        for module in net.modules()
        if not any(True for _ in module.children())
    )
    return dict(sorted(kinds.items()))


def count_flops(net: nn.Module, volumes: torch.Tensor) -> int:
    """Floating-point operations of one forward pass, as `torch.utils.flop_counter` counts them.

    Convolutions and matrix products only; a multiplication with its addition counts as two.

    Args:
        net: in evaluation mode.
        volumes: (batch, 1, z, y, x); on the device "meta" nothing is computed.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(volumes)
    return int(counter.get_total_flops())


def _flops(net: nn.Module, volumes: torch.Tensor) -> tuple[int | None, str]:
    try:
        return count_flops(net, volumes), ""
    except (NotImplementedError, RuntimeError) as error:
        # A network of the user's own may look at its values, which "meta" does not have.
        return None, str(error).splitlines()[0]


def _without_weights(node: dict[str, Any]) -> dict[str, Any]:
    """The task without the file that its first weights came from, which may be gone."""
    net = node.get("net")
    if isinstance(net, dict) and net.get("pretrained") is not None:
        return {**node, "net": {**net, "pretrained": None}}
    return node


def _without_folders(arguments: dict[str, Any]) -> dict[str, Any]:
    """The network's arguments; of the file of its first weights the name, without this machine."""
    if arguments.get("pretrained") is None:
        return arguments
    return {**arguments, "pretrained": Path(str(arguments["pretrained"])).name}
