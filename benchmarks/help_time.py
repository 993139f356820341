"""How long a user waits for help: whole processes, beside importing the libraries behind them.

python benchmarks/help_time.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from record import write_results

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/help_time.py"
REPEATS = 7
LIBRARIES = "importing torch, Lightning, MONAI and TorchIO"
COMMANDS: dict[str, tuple[list[str], str | None]] = {
    "covidlit --help": ([str(Path(sys.executable).with_name("covidlit")), "--help"], "< 1"),
    "python train.py --help": ([sys.executable, "train.py", "--help"], "< 3"),
    LIBRARIES: (
        [sys.executable, "-c", "import torch, pytorch_lightning, monai.networks.nets, torchio"],
        None,
    ),
}


def seconds(command: list[str]) -> float:
    """Wall-clock seconds of one process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Time the commands in turn and write `results/help_time.json`."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(REPEATS + 1):
        for name, (command, _) in COMMANDS.items():
            measured = seconds(command)
            if repeat:  # the first round fills the page cache
                times[name].append(measured)
    figures: list[dict[str, Any]] = []
    for name, (_, target) in COMMANDS.items():
        figure = {
            "figure": f"{name}, median of {REPEATS} interleaved repeats",
            "value": round(statistics.median(times[name]), 3),
            "unit": "s",
            "target": target,
            "peer": None if name == LIBRARIES else LIBRARIES,
            "command": COMMAND,
        }
        figures.append(figure)
        print(f"{figure['figure']}: {figure['value']} s")
    print(write_results("help_time", figures))


if __name__ == "__main__":
    main()
