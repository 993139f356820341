"""The demo as a newcomer meets it: a fresh clone, its installation, and `make demo` to its end.

    python benchmarks/demo.py

Clones the last commit into a temporary folder and runs `make demo` there; needs the package
registry. Writes results/demo.json: minutes in all, and the AUC of the held-out centre.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from record import write_results

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/demo.py"


def main() -> None:
    """Measure and write the result."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "covidlit"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        start = time.monotonic()
        subprocess.run(["make", "demo"], cwd=clone, check=True)
        minutes = (time.monotonic() - start) / 60
        (metrics,) = clone.glob("runs/quickstart/*/metrics.json")
        auc = json.loads(metrics.read_text())["parts"]["test"]["auc"]
    interval = f"95% CI {auc['low']:.3f} to {auc['high']:.3f}"

    def figure(what: str, value: float, unit: str, target: str | None) -> dict[str, Any]:
        return {
            "figure": what, "value": round(value, 3), "unit": unit, "target": target,
            "peer": None, "command": COMMAND,
        }  # fmt: skip

    write_results(
        "demo",
        [
            figure("make demo in a fresh clone, with installation", minutes, "min", "<= 15"),
            figure(
                f"AUC in the held-out centre, {interval}, n {auc['n']}", auc["value"], "1", None
            ),
            figure("lower end of its interval", auc["low"], "1", "> 0.5"),
        ],
    )


if __name__ == "__main__":
    main()
