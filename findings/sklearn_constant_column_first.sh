#!/usr/bin/env bash
# SelectKBest(f_classif) can rank a constant column before every column that was measured.
#
# Version:   scikit-learn 1.9.1 (numpy 2.4.6), 2026-11-28
# Expected:  a constant column tells nothing: its F is 0 or undefined, it is warned of, never chosen
# Seen:      with classes of unequal size, the sums of squares of most constants are not 0 but
#            rounding; F is rounding over rounding, with p < 0.05 for a fifth of the constants from
#            0.1 to 30.0, and no warning. A VarianceThreshold before it removes them.
# Output:    300 constants: 64 with p < 0.05, 11 chosen as the best of 4 columns, 239 without a warning
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import warnings

import numpy as np
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif

target = np.repeat([0, 1], [70, 56])
noise = np.random.default_rng(0).normal(size=(126, 3))
measured = noise + 0.8 * target[:, None] * [1.0, 0.5, 0.0]
significant = chosen = silent = 0
for tenths in range(1, 301):
    columns = np.column_stack([measured, np.full(126, tenths / 10)])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        selection = SelectKBest(f_classif, k=1).fit(columns, target)
    significant += bool(selection.pvalues_[3] < 0.05)
    chosen += bool(selection.get_support()[3])
    silent += not said
    assert not VarianceThreshold().fit(columns).get_support()[3]
print(
    f"300 constants: {significant} with p < 0.05, {chosen} chosen as the best of 4 columns, "
    f"{silent} without a warning"
)
if not (significant and chosen and silent):
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
