"""CSAC-Net on the synthetic quickstart cohort: settle the recipe, then report it once.

python experiments/quickstart/run.py settle     seeds 0, 1, 2: may be looked at freely
python experiments/quickstart/run.py rehearse   seeds 1, 2 at the report's size: likewise
python experiments/quickstart/run.py report     seeds 10, 11, 12: run once, after freezing
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from results import FIRST_RECIPE, Run, auc, keep, train  # noqa: E402

COHORTS = {"settle": (0, 1, 2), "rehearse": (1, 2), "report": (10, 11, 12)}
REPORT_SIZE = ["data.source.n_scans=1920", "trainer.max_epochs=14"]
SIZE: dict[str, list[str]] = {"settle": [], "rehearse": REPORT_SIZE, "report": REPORT_SIZE}
FILES = {"settle": "settled.json", "rehearse": "rehearsed.json", "report": "results.json"}
"""The settling cohorts have the demo's size and 500 steps of 16 scans. 1,920 scans put 505 into the
held-out centre and about 1,275 into training: 14 epochs are about 1,100 steps."""


def main(step: str) -> None:
    """Train on each cohort of the step, two at a time, and write what was measured."""

    def one(seed: int) -> Run:
        overrides = [*FIRST_RECIPE, f"data.source.seed={seed}", *SIZE[step]]
        return train(f"quickstart/{step}_{seed}", overrides, threads=1)

    figures = []
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(one, COHORTS[step]))
    for seed, result in zip(COHORTS[step], map(auc, runs), strict=True):
        for end in ("value", "low", "high"):
            kind = {"value": "AUC", "low": "AUC, lower end", "high": "AUC, upper end"}[end]
            figures.append(
                {
                    "figure": f"{kind} (95% CI), synthetic cohort seed {seed}, held-out centre, "
                    f"{result['n']} scans",
                    "value": round(result[end], 4),
                    "unit": "1",
                    "target": ">= 0.90" if end == "value" else None,
                    "peer": None,
                    "command": f"python experiments/quickstart/run.py {step}",
                }
            )
    keep(HERE / FILES[step], figures, runs)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COHORTS:
        sys.exit(__doc__)
    main(sys.argv[1])
