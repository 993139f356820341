"""CSAC-Net on the synthetic quickstart cohort: settle the recipe, then report it once.

python experiments/quickstart/run.py settle   cohort seeds 0, 1, 2: may be run and looked at freely
python experiments/quickstart/run.py report   cohort seeds 10, 11, 12: run once, after freezing
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from results import auc, keep, train  # noqa: E402

COHORTS = {"settle": (0, 1, 2), "report": (10, 11, 12)}
N_SCANS = {"settle": 700, "report": 1920}
"""1,920 scans in the paper's proportions put 505 into the held-out centre."""


def main(step: str) -> None:
    """Train on each cohort of the step and write what was measured."""
    figures = []
    for seed in COHORTS[step]:
        overrides = [
            "experiment=quickstart",
            f"data.source.seed={seed}",
            f"data.source.n_scans={N_SCANS[step]}",
        ]
        result = auc(train(f"quickstart/{step}_{seed}", overrides))
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
    keep(HERE / ("results.json" if step == "report" else "settled.json"), figures)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COHORTS:
        sys.exit(__doc__)
    main(sys.argv[1])
