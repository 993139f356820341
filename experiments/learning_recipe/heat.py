"""Hit rates of two recipes' heatmaps on the same scans, and what lies between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from gain import Gain

ROOT = Path(__file__).parents[2]
N_BOOTSTRAP = 5000


def hits(run: Path, truth: Path, kept: Path) -> pd.Series:
    """Whether the hottest point lies within 15 mm of a lesion, by scan with lesions of the test.

    Args:
        run: folder of a trained run.
        truth: lesion labels of its cohort.
        kept: file of the result; what lies there is not made again.
    """
    if not kept.is_file():
        out = run / "heatmaps"
        command = [sys.executable, "-m", "covidlit", "explain", str(run.relative_to(ROOT)),
                   "--out", str(out.relative_to(ROOT)), "--truth", str(truth)]  # fmt: skip
        subprocess.run(command, cwd=ROOT, check=True)
        table = pd.read_csv(out / "heatmaps.csv")
        columns = ["scan_id", "hit", "chance"]
        table.loc[table["hit"].notna(), columns].to_csv(kept, index=False)
    table = pd.read_csv(kept).set_index("scan_id")
    return table["hit"].astype(bool)


def paired(new: Mapping[int, pd.Series], first: Mapping[int, pd.Series], seed: int = 0) -> Gain:
    """Mean over cohorts of the difference of hit rates, and its interval over scans.

    Args:
        new, first: by cohort, of the same scans.
        seed: of the bootstrap, which draws scans within each cohort.
    """
    pairs = []
    for cohort, hit in new.items():
        other = first[cohort].reindex(hit.index)
        assert other.notna().all()
        pairs.append(hit.to_numpy(float) - other.to_numpy(float))
    generator = np.random.default_rng(seed)
    drawn = [
        np.mean([generator.choice(values, len(values)).mean() for values in pairs])
        for _ in range(N_BOOTSTRAP)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Gain(float(np.mean([values.mean() for values in pairs])), float(low), float(high))
