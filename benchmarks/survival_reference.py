"""Compare the survival statistics with lifelines on random tables.

python benchmarks/survival_reference.py --lifelines VENV/bin/python

VENV has lifelines (`pip install "lifelines==0.30.3" "pandas<3"`). Writes
`results/survival_reference.json`: the largest difference of each kind of value over all tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import write_results

from covidlit.baselines.cox.fit import fit_cox
from covidlit.baselines.cox.proportional_hazards import check_proportional_hazards
from covidlit.evaluation.survival.concordance import concordance
from covidlit.evaluation.survival.log_rank import log_rank
from covidlit.evaluation.survival.product_limit import cumulative_incidence, kaplan_meier

TARGETS = {
    "survival": 1e-10,
    "interval": 1e-8,
    "log-rank": 1e-8,
    "coefficients": 1e-4,
    "standard errors": 1e-4,
    "log likelihood": 1e-5,
    "risk": 1e-4,
    "concordance": 1e-10,
    "proportional hazards": 1e-3,
    "incidence": 1e-10,
}
"""Largest difference that is allowed, absolute below 1 and relative above."""


def random_table(seed: int) -> dict[str, Any]:
    """Patients with exponential times; every third table has whole days, hence many ties."""
    rng = np.random.default_rng(seed)
    # lifelines interpolates risks between times; at times that occur both sides mean the same.
    n, p = int(rng.integers(40, 300)), int(rng.integers(1, 6))
    x = rng.normal(size=(n, p))
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    latent = rng.exponential(20 * np.exp(-x @ rng.normal(0, 0.5, p)))
    censored = rng.exponential(30, n)
    time = np.minimum(latent, censored)
    untied = time.copy()
    if seed % 3 == 2:
        time = np.ceil(time)
    event = (latent <= censored).astype(int)
    return {
        "x": x, "time": time, "event": event, "group": rng.integers(0, int(rng.integers(2, 5)), n),
        "cause": np.where(event == 1, 1, np.where(rng.random(n) < 0.5, 2, 0)), "untied": untied,
        "when": np.quantile(time, [0.1, 0.25, 0.5, 0.75], method="lower"),
        "penalty": np.float64([0.0, 0.01, 0.1][seed % 4 % 3]),
    }  # fmt: skip


def our_values(table: dict[str, Any]) -> dict[str, list[float]]:
    """What `survival_peer.values_of` gives, by covidlit."""
    x, time, event, when = (table[name] for name in ("x", "time", "event", "when"))
    curve = kaplan_meier(time, event)
    places = np.searchsorted(curve.times, when, side="right") - 1
    fit = fit_cox(x, time, event, penalty=float(table["penalty"]))
    tested = log_rank(time, event, table["group"])
    return {
        "survival": list(curve.curve.at(when)),
        "interval": np.stack([curve.low, curve.high], axis=1)[places].ravel().tolist(),
        "log-rank": [float(tested.statistic or 0), float(tested.p_value or 0)],
        "coefficients": list(fit.coefficients),
        "standard errors": list(fit.standard_errors),
        "log likelihood": [
            fit.log_likelihood
            - len(x) * float(table["penalty"]) / 2 * float(fit.coefficients @ fit.coefficients)
        ],
        "risk": np.stack([fit.risk(x, t) for t in when]).ravel().tolist(),
        "concordance": [float(concordance(time, event, fit.log_hazard(x)))],
        "proportional hazards": list(check_proportional_hazards(x, time, event, fit).statistic),
        "incidence": list(cumulative_incidence(table["untied"], table["cause"]).at(when)),
    }  # fmt: skip


def largest_difference(ours: list[float], theirs: list[float]) -> float:
    """Of values side by side: absolute below 1, relative above; NaN in both is no difference."""
    own, other = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if own.shape != other.shape or (np.isnan(own) != np.isnan(other)).any():
        return float("inf")
    return float(np.nanmax(np.abs(own - other) / np.maximum(1, np.abs(other)), initial=0.0))


def main() -> None:
    """Make tables, have both sides compute, and write the largest differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lifelines", type=Path, required=True, help="a Python with lifelines")
    parser.add_argument("--tables", type=int, default=60, help="number of random tables")
    given = parser.parse_args()
    tables = [random_table(seed) for seed in range(given.tables)]
    kept = {f"{k}/{name}": v for k, table in enumerate(tables) for name, v in table.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tables.npz")
        np.savez(path, n_tables=len(tables), **kept)
        peer = Path(__file__).with_name("survival_peer.py")
        done = subprocess.run([given.lifelines, peer, path], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"lifelines failed:\n{done.stderr}")
    theirs = json.loads(done.stdout)
    figures = []
    for name, target in TARGETS.items():
        worst = 0.0
        for table, values in zip(tables, theirs, strict=True):
            # lifelines' Schoenfeld residuals of events at one time follow the order of the rows
            tied = len(np.unique(table["time"])) < len(table["time"])
            if name == "proportional hazards" and tied:
                continue
            worst = max(worst, largest_difference(our_values(table)[name], values[name]))
        figures.append(
            {
                "figure": f"largest difference of {name}, {given.tables} tables",
                "value": worst,
                "unit": "absolute below 1, relative above",
                "target": f"<= {target:g}",
                "peer": "lifelines",
                "command": "python benchmarks/survival_reference.py --lifelines VENV/bin/python",
            }
        )
        print(f"{name:24s} {worst:.2e}  target <= {target:g}")
    print(write_results("survival_reference", figures))


if __name__ == "__main__":
    main()
