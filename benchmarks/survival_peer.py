"""Survival statistics by lifelines, run by the interpreter that has it.

PYTHON benchmarks/survival_peer.py TABLES.npz

For `survival_reference.py`, which makes the tables and compares: lifelines cannot be installed
beside covidlit, as it needs pandas below 3. Prints values as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test, proportional_hazard_test
from lifelines.utils import concordance_index


def values_of(table: Any, penalty: float) -> dict[str, Any]:
    """All that is compared, of one table: `x`, `time`, `event`, `group`, `cause`, `when`."""
    x, time, event, when = (table[name] for name in ("x", "time", "event", "when"))
    curve = KaplanMeierFitter().fit(time, event)
    ends = curve.confidence_interval_survival_function_
    places = np.searchsorted(ends.index, when, side="right") - 1
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(x.shape[1])])
    frame = frame.assign(time=time, event=event)
    cox = CoxPHFitter(penalizer=penalty).fit(
        frame, "time", "event", fit_options={"precision": 1e-10}
    )
    check = proportional_hazard_test(cox, frame, time_transform="rank").summary
    names = [f"x{k}" for k in range(x.shape[1])]
    risk = cox.predict_log_partial_hazard(frame).to_numpy()
    log_rank = multivariate_logrank_test(time, table["group"], event)
    incidence = AalenJohansenFitter(calculate_variance=False, seed=0)
    incidence.fit(table["untied"], table["cause"], event_of_interest=1)
    return {
        "survival": curve.survival_function_at_times(when).to_list(),
        "interval": ends.to_numpy()[places].ravel().tolist(),
        "log-rank": [float(log_rank.test_statistic), float(log_rank.p_value)],
        "coefficients": cox.params_[names].to_list(),
        "standard errors": cox.standard_errors_[names].to_list(),
        "log likelihood": [float(cox.log_likelihood_)],
        "risk": (1 - cox.predict_survival_function(frame, times=when)).to_numpy().ravel().tolist(),
        "concordance": [float(concordance_index(time, -risk, event))],
        "proportional hazards": check["test_statistic"][names].to_list(),
        "incidence": [
            float(incidence.cumulative_density_.iloc[:, 0].asof(t)) for t in when
        ],
    }  # fmt: skip


def main() -> None:
    """Compute the values of every table of a file and print them."""
    warnings.simplefilter("ignore")
    found = []
    with np.load(sys.argv[1]) as kept:
        for k in range(int(kept["n_tables"])):
            table = {name.partition("/")[2]: kept[name] for name in kept.files
                     if name.startswith(f"{k}/")}  # fmt: skip
            found.append(values_of(table, float(table["penalty"])))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
