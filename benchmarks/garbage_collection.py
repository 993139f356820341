"""What Python's garbage collector costs a command that imports much: with covidlit's setting of it,
and with Python's own.

python benchmarks/garbage_collection.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from record import write_results

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/garbage_collection.py"
REPEATS = 5
IMPORTS = "import covidlit.tasks.classification, covidlit.deploy.predict, monai.networks.nets"
LESS = "from covidlit.process import collect_less; collect_less()"
SIDES = {"covidlit's setting": f"{LESS}; {IMPORTS}", "Python's own": IMPORTS}


def seconds(code: str) -> float:
    """Processor seconds of one process, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> None:
    """Time both in turn and write `results/garbage_collection.json`."""
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for repeat in range(REPEATS + 1):
        for name, code in SIDES.items():
            measured = seconds(code)
            if repeat:  # the first round fills the page cache
                times[name].append(measured)
    figures = [
        {
            "figure": f"processor time to import what a command needs, {name}, median of {REPEATS}",
            "value": round(statistics.median(values), 2),
            "unit": "s",
            "target": None,
            "peer": None if name == "Python's own" else "Python's own",
            "command": COMMAND,
        }
        for name, values in times.items()
    ]
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} s")
    print(write_results("garbage_collection", figures))


if __name__ == "__main__":
    main()
