#!/usr/bin/env bash
# LightGBM reads a damaged model text into a crash, an endless loop or the end of the process.
#
# Version:   LightGBM 4.7.0, 2026-11-29
# Expected:  Booster(model_str=...) refuses a text that is no model, with a LightGBMError
# Seen:      a feature that is not there is read from other memory (segmentation fault), a branch
#            that leads back to its own node never ends, and a tree without one of its lists calls
#            std::terminate, which no `except` of Python can catch. A model file from elsewhere has
#            to be looked through first.
# Output:    feature: killed by signal 11; circle: still running after 10 s; cut: killed by signal 6
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 numpy==2.4.6
cd "$folder"
cat > damaged.py <<'EOF'
import re
import sys

import lightgbm
import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(120, 3))
y = (x[:, 0] + rng.normal(size=120) > 0).astype(int)
settings = {"objective": "binary", "verbosity": -1, "num_leaves": 3, "min_data_in_leaf": 5}
text = lightgbm.train(settings, lightgbm.Dataset(x, y), 1).model_to_string()


def first(name, value):
    return re.sub(rf"(?m)^{name}=-?\d+", f"{name}={value}", text)


if sys.argv[1] == "feature":
    text = first("split_feature", 99999999)
elif sys.argv[1] == "circle":
    text = re.sub(r"(?m)^(left|right)_child=\S+", r"\1_child=0", text)
elif sys.argv[1] == "cut":
    text = re.sub(r"(?m)^leaf_value=.*\n", "", text)
start, end = text.index("Tree=0"), text.index("end of trees")
text = re.sub(r"(?m)^tree_sizes=.*", f"tree_sizes={len(text[start:end].encode())}", text)
lightgbm.Booster(model_str=text).predict(x[:3], num_threads=1)
EOF
"$folder/venv/bin/python" - <<'EOF'
import subprocess
import sys

seen = {}
for kind in ("whole", "feature", "circle", "cut"):
    try:
        done = subprocess.run([sys.executable, "damaged.py", kind], timeout=10, capture_output=True)
        seen[kind] = "fine" if done.returncode == 0 else f"killed by signal {-done.returncode}"
    except subprocess.TimeoutExpired:
        seen[kind] = "still running after 10 s"
assert seen.pop("whole") == "fine"
said = "; ".join(f"{kind}: {what}" for kind, what in seen.items())
print(said)
if said != "feature: killed by signal 11; circle: still running after 10 s; cut: killed by signal 6":
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
