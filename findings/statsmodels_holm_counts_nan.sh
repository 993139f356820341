#!/usr/bin/env bash
# statsmodels' Holm correction counts a missing p-value as a test; Benjamini-Hochberg loses them all.
#
# Version:   statsmodels 0.15.0 (numpy 2.4.6), 2026-11-28
# Expected:  a NaN among the p-values (a test that could not be made) is refused, or left out: the
#            others are corrected as if it were not there
# Seen:      no error and no warning. holm counts it, so that a p-value of 0.02 beside 0.01 and 0.04
#            becomes 0.06 instead of 0.04; with fdr_bh every p-value becomes NaN, and nothing is
#            rejected.
# Output:    holm: 0.03 0.04 0.04, with a NaN beside them: 0.04 0.06 0.08 nan
#            fdr_bh: 0.03 0.03 0.04, with a NaN beside them: nan nan nan nan
#            warnings: none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import warnings

import numpy as np
from statsmodels.stats.multitest import multipletests

found = [0.01, 0.02, 0.04]
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    corrected = {
        method: [multipletests(values, method=method)[1] for values in (found, [*found, np.nan])]
        for method in ("holm", "fdr_bh")
    }
for method, both in corrected.items():
    alone, beside = (" ".join(f"{value:.2g}" for value in values) for values in both)
    print(f"{method}: {alone}, with a NaN beside them: {beside}")
print("warnings:", len(said) or "none")
holm, fdr_bh = corrected["holm"][1], corrected["fdr_bh"][1]
if said or not np.allclose(holm[:3], [0.04, 0.06, 0.08]) or not np.isnan(fdr_bh).all():
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
