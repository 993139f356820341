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


def hits(run: Path, finished: Path, manifest: Path) -> pd.Series:
    """Whether the hottest point lies within 15 mm of a lesion, by positive scan of the test part.

    Args:
        run: folder of a trained run.
        finished: where its results are kept; what lies there is not made again.
        manifest: of its cohort; the lesion labels lie beside it.
    """
    kept = finished / "hits.csv"
    if not kept.is_file():
        told = pd.read_parquet(finished / "predictions.parquet")
        positive = told.loc[(told["part"] == "test") & (told["target"] == 1), "scan_id"]
        rows = pd.read_csv(manifest, dtype=str)
        some = manifest.with_name("positives_of_the_test.csv")  # paths are relative to its folder
        rows[rows["scan_id"].isin(positive)].to_csv(some, index=False)
        out = run / "heatmaps"
        command = [
            sys.executable, "-m", "covidlit", "explain", run.relative_to(ROOT), some,
            "--out", out.relative_to(ROOT), "--truth", manifest.parent / "truth",
        ]  # fmt: skip
        subprocess.run(list(map(str, command)), cwd=ROOT, check=True)
        table = pd.read_csv(out / "heatmaps.csv")
        table.loc[table["hit"].notna(), ["scan_id", "hit", "chance"]].to_csv(kept, index=False)
    return pd.read_csv(kept).set_index("scan_id")["hit"].astype(bool)


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
