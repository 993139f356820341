#!/usr/bin/env bash
# lifelines: a Cox model's survival function falls between events, that of Kaplan-Meier does not.
#
# Version:   lifelines 0.30.3 (pandas 2.3.3, numpy 2.4.6), 2026-11-29
# Expected:  with Breslow's baseline the predicted survival is a step function, so that between two
#            times of events it is what it was at the first, as KaplanMeierFitter gives it
# Seen:      CoxPHFitter.predict_survival_function(row, times=...) draws a line in the cumulative
#            hazard from event to event: between events at 5 and 8 the survival goes down
#            from 0.54 to 0.40. Risks at a horizon that is no time of an event are too high, and
#            calibration and Brier scores at such horizons are others than those of a step function.
# Output:    Cox at 5, 6, 7.9, 8: 0.5384 0.4888 0.4069 0.403
#            Kaplan-Meier at 5, 6, 7.9, 8: 0.45 0.45 0.45 0.3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lifelines==0.30.3 pandas==2.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter

table = pd.DataFrame(
    {
        "time": [1.0, 2.0, 4.0, 8.0, 16.0, 3.0, 5.0, 9.0],
        "event": [1, 1, 1, 1, 1, 0, 1, 0],
        "x": [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.2],
    }
)
times = [5.0, 6.0, 7.9, 8.0]
cox = CoxPHFitter(penalizer=0.1).fit(table, "time", "event")
drawn = cox.predict_survival_function(table[["x"]].iloc[:1], times=times)[0].to_numpy()
steps = KaplanMeierFitter().fit(table["time"], table["event"])
steps = steps.survival_function_at_times(times).to_numpy()
print("Cox at 5, 6, 7.9, 8:", *np.round(drawn, 4))
print("Kaplan-Meier at 5, 6, 7.9, 8:", *np.round(steps, 4))
hazard = -np.log(drawn)
line = hazard[0] + (hazard[3] - hazard[0]) * (np.array(times) - 5) / 3
seen = np.allclose(hazard, line, atol=1e-6) and drawn[1] < drawn[0] - 0.01
if not seen or not (steps[0] == steps[1] == steps[2] > steps[3]):
    raise SystemExit("This is no longer so.")
EOF
