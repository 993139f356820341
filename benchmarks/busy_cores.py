"""Training step of CSAC-Net on cores that have other work: waiting threads that sleep or spin.

    python benchmarks/busy_cores.py

One process trains the quickstart's network on random volumes with one thread per core, while as
many other processes as there are cores only compute. Both ways of waiting alternate, each in a
process of its own, because OpenMP reads its settings once. Writes results/busy_cores.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from record import write_results

from covidlit.process import SPINS

WAYS = {"sleep": {"GOMP_SPINCOUNT": SPINS}, "spin": {}}
STEPS = """
import time, torch
from covidlit.models import CSACNet3D
torch.manual_seed(0)
net = CSACNet3D(width=8).to(memory_format=torch.channels_last_3d)
volumes = torch.rand(16, 1, 24, 48, 64).contiguous(memory_format=torch.channels_last_3d)
optimizer = torch.optim.Adam(net.parameters(), fused=True)
for step in range({steps} + 1):
    start = time.perf_counter()
    optimizer.zero_grad()
    net(volumes).mean().backward()
    optimizer.step()
    if step:
        print(time.perf_counter() - start)
"""


def steps(way: str, n: int, busy: bool) -> list[float]:
    """Seconds of n training steps, with or without other work on every core."""
    known = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    cores = len(os.sched_getaffinity(0))
    load = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(load) for _ in range(cores if busy else 0)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", STEPS.format(steps=n)], capture_output=True, text=True,
            check=True, env=known | WAYS[way] | {"OMP_NUM_THREADS": str(cores)},
        )  # fmt: skip
    finally:
        for other in others:
            other.kill()
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    command = f"python benchmarks/busy_cores.py --repeats {args.repeats} --steps {args.steps}"
    figures = []
    for busy in (True, False):
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(args.repeats):
            for way in WAYS:
                seconds[way] += steps(way, args.steps, busy)
        median = {way: statistics.median(values) for way, values in seconds.items()}
        print(f"busy={busy}: {median}")
        where = "with other work on every core" if busy else "on quiet cores"
        figures.append(
            {
                "figure": f"training step of the quickstart's network {where}: speed with waiting "
                "threads that sleep early",
                "value": round(median["spin"] / median["sleep"], 2),
                "unit": "ratio of median times",
                "target": None,
                "peer": "OpenMP's default, spinning",
                "command": command,
            }
        )
    write_results("busy_cores", figures)


if __name__ == "__main__":
    main()
