"""Training step of CSAC-Net on the CPU: covidlit's default path against the plain one.

    python benchmarks/training_step.py

One step is forward, loss, backward and optimizer on one batch of random volumes. Both sides train
the same network (default width, 27.55 M parameters) from the same weights with the same
hyper-parameters. "Plain" is the network in PyTorch's default memory format with its default Adam;
covidlit's is what `conf/model/csacnet.yaml` trains: channels-last volumes and weights, the
depthwise convolutions of `covidlit.models.atrous` and the optimizer as configured there; beside
it stands the same with `trainer.precision=bf16-mixed`, where the processor has bfloat16. Steps
alternate, so that other load meets both sides alike; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

# Threads that wait sleep instead of spinning, so that CPU time is time at work. Before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import yaml
from plain_convolutions import use_plain_convolutions
from record import write_results
from torch import Tensor
from torch.nn import functional

from covidlit.models import CSACNet3D
from covidlit.settings.targets import build
from covidlit.tasks import VolumeClassification

CONF = Path(__file__).parents[1] / "conf" / "model"
Step = Callable[[], Tensor]


def plain_step(weights: dict[str, Tensor], image: Tensor, target: Tensor) -> Step:
    """The default memory format, eager, with PyTorch's default Adam."""
    net = CSACNet3D()
    net.load_state_dict(weights)
    use_plain_convolutions(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(net(image)[:, 0], target.float())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 itself (AVX-512 or AMX)."""
    return any(value for name, value in torch.cpu.get_capabilities().items() if "bf16" in name)


def covidlit_step(
    weights: dict[str, Tensor], image: Tensor, target: Tensor, bfloat16: bool = False
) -> Step:
    """The default path of `conf/model/csacnet.yaml`."""
    node = yaml.safe_load((CONF / "base" / "lightning.yaml").read_text())["task"]
    net = yaml.safe_load((CONF / "csacnet.yaml").read_text())["task"]["net"]
    task = VolumeClassification(net=net, optimizer=node["optimizer"], loss=node["loss"])
    task.net.load_state_dict(weights)
    task.log = task.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    optimizer = build(node["optimizer"], "optimizers", params=task.parameters())
    batch = {"image": image, "target": target}

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = task.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def main() -> None:
    """Time both and write `benchmarks/results/training_step.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=3, default=[32, 128, 128])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    weights = CSACNet3D().state_dict()
    image = torch.rand(args.batch, 1, *args.size)
    target = torch.arange(args.batch) % 2
    steps = {
        "plain": plain_step(weights, image, target),
        "covidlit": covidlit_step(weights, image, target),
    }
    if has_bfloat16():
        steps["covidlit, bf16-mixed"] = covidlit_step(weights, image, target, bfloat16=True)
    for step in steps.values():
        step()  # warm-up: memory, oneDNN's kernels, the optimizer's state
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    work: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(args.repeats):
        order = list(steps) if repeat % 2 == 0 else list(steps)[::-1]
        for name in order:
            start, start_work = time.perf_counter(), time.process_time()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - start_work)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    shape = "x".join(map(str, args.size))
    command = (
        f"python benchmarks/training_step.py --repeats {args.repeats} --batch {args.batch} "
        f"--size {' '.join(map(str, args.size))} --threads {args.threads}"
    )
    peer = "the same network, contiguous format, eager, PyTorch's default Adam"
    on = f"training step, batch {args.batch} of {shape}"
    figures = []

    def add(words: str, value: float, unit: str, target: str | None, peer: str | None) -> None:
        figures.append(
            {
                "figure": words,
                "value": round(value, 3),
                "unit": unit,
                "target": target,
                "peer": peer,
                "command": command,
            }
        )
        print(f"{words}: {value:.3f} {unit}")

    for name in list(steps)[1:]:
        wanted = ">= 1.3" if name == "covidlit" else None
        ratio = medians["plain"] / medians[name]
        add(f"{on}, {name}: speed against the plain", ratio, "ratio of median times", wanted, peer)
        ratio = statistics.median(work["plain"]) / statistics.median(work[name])
        words = f"{on}: CPU time of the plain one in units of {name}"
        add(words, ratio, "ratio of median CPU times", None, peer)
    for name, median in medians.items():
        add(f"{on}: {name}", median, "s", None, None)
    print(write_results("training_step", figures))


if __name__ == "__main__":
    main()
