"""Peak memory and time of training the default CSAC-Net at batch 10, beside an earlier commit.

    git worktree add /tmp/before COMMIT
    python benchmarks/training_memory.py --before /tmp/before

Each side takes three training steps on random volumes of 32 x 128 x 128, with the network,
optimizer and loss of `conf/model/csacnet.yaml`, in a process of its own: the most memory that the
system says it held (what Python and torch take before the first step included), its CPU time and
the loss of each step. Writes results/training_memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from record import write_results

CHECKPOINTING = "activation checkpointing"
BFLOAT16 = "bf16-mixed"
SIDES = {
    "now": (),
    f"now, {CHECKPOINTING}": (CHECKPOINTING,),
    f"now, {BFLOAT16}": (BFLOAT16,),
    f"now, {BFLOAT16} and {CHECKPOINTING}": (BFLOAT16, CHECKPOINTING),
}
TARGETS = {f"now, {BFLOAT16} and {CHECKPOINTING}": "<= 0.6"}
BATCH, SIZE, STEPS = 10, (32, 128, 128), 3


def steps(options: list[str]) -> dict[str, Any]:
    """Train in this process; its peak in GB, seconds of the CPU, and the losses."""
    import torch
    import yaml

    from covidlit.settings.targets import build
    from covidlit.tasks import VolumeClassification

    conf = Path("conf", "model")
    node = yaml.safe_load((conf / "base" / "lightning.yaml").read_text())["task"]
    net = yaml.safe_load((conf / "csacnet.yaml").read_text())["task"]["net"]
    if CHECKPOINTING in options:
        net["activation_checkpointing"] = True
    torch.manual_seed(0)
    task = VolumeClassification(net=net, optimizer=node["optimizer"], loss=node["loss"])
    task.log = task.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    optimizer = build(node["optimizer"], "optimizers", params=task.parameters())
    batch = {"image": torch.rand(BATCH, 1, *SIZE), "target": torch.arange(BATCH) % 2}
    start, losses = time.process_time(), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16 in options):
            loss = task.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        losses.append(round(float(loss.detach()), 4))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"memory": peak, "cpu": time.process_time() - start, "losses": losses}


def taken(checkout: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """What `steps` says with the code of a checkout.

    Raises:
        CalledProcessError: it failed.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--steps", *options]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit")
    parser.add_argument("--steps", nargs="*", help=argparse.SUPPRESS)  # of this process alone
    args = parser.parse_args()
    if args.steps is not None:
        print(json.dumps(steps(args.steps)))
        return
    if args.before is None:
        parser.error("--before CHECKOUT is needed")
    commit = subprocess.run(
        ["git", "-C", args.before, "rev-parse", "--short=8", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    command = f"python benchmarks/training_memory.py --before CHECKOUT_OF_{commit}"
    figures: list[dict[str, Any]] = []

    def add(
        words: str, value: float, unit: str, target: str | None = None, peer: str | None = None
    ) -> None:
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
        print(f"{words}: {value:.3f} {unit}", flush=True)

    before = taken(args.before.resolve(), ())
    add("peak memory, before", before["memory"], "GB")
    add(f"CPU time of {STEPS} steps, before", before["cpu"], "s")
    add("loss of the last step, before", before["losses"][-1], "1")
    for name, options in SIDES.items():
        took = taken(Path(__file__).parents[1], options)
        add(f"peak memory, {name}", took["memory"], "GB")
        ratio = took["memory"] / before["memory"]
        add(f"peak memory, {name}, to before", ratio, "ratio", TARGETS.get(name), commit)
        add(f"CPU time, {name}, to before", took["cpu"] / before["cpu"], "ratio", None, commit)
        add(f"loss of the last step, {name}", took["losses"][-1], "1")
    print(write_results("training_memory", figures))


if __name__ == "__main__":
    main()
