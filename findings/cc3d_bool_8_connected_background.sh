#!/usr/bin/env bash
# connected-components-3d labels background pixels of a two-dimensional bool image that is 8-connected.
#
# Version:   connected-components-3d 4.1.1 (numpy 2.4.6), 2026-11-29
# Expected:  connected_components(mask, connectivity=8) gives the same for bool as for uint8, and 0
#            wherever the mask is False
# Seen:      of 2,000 random bool images of 1 to 39 pixels a side, dozens have other components than
#            the same images as uint8, some with a label where the mask is False. connectivity=4, and
#            26 in three dimensions, are right for both types. SciPy agrees with uint8 throughout.
# Output:    column 0 0 1 as uint8: 0 0 1, as bool: 0 1 1
#            bool images unlike SciPy, 4-connected: 0, 8-connected: more than 20
#            uint8 images unlike SciPy, 4-connected: 0, 8-connected: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check connected-components-3d==4.1.1 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import cc3d
import numpy as np
from scipy import ndimage

STRUCTURES = {4: None, 8: np.ones((3, 3), int)}


def same_parts(one, other):
    """Whether two labellings are the same but for the numbers."""
    inside = one > 0
    if (inside != (other > 0)).any():
        return False
    pairs = np.unique(np.stack([one[inside], other[inside]]), axis=1)
    return len(set(pairs[0])) == pairs.shape[1] == len(set(pairs[1]))


column = np.array([[0], [0], [1]])
shown = {
    kind: cc3d.connected_components(column.astype(kind), connectivity=8).ravel().tolist()
    for kind in ("uint8", "bool")
}
print("column 0 0 1", ", ".join(f"as {kind}: {labels}" for kind, labels in shown.items()))

rng = np.random.default_rng(0)
images = [rng.random(rng.integers(1, 40, 2)) < 0.5 for _ in range(2000)]
unlike = {}
for kind in ("bool", "uint8"):
    for connectivity, structure in STRUCTURES.items():
        unlike[kind, connectivity] = sum(
            not same_parts(
                cc3d.connected_components(image.astype(kind), connectivity=connectivity).astype(int),
                ndimage.label(image, structure)[0],
            )
            for image in images
        )
    print(kind, "images unlike SciPy:", unlike[kind, 4], "(4)", unlike[kind, 8], "(8)")
if (
    shown["bool"] != [0, 1, 1]
    or shown["uint8"] != [0, 0, 1]
    or unlike["bool", 8] <= 20
    or any(unlike[key] for key in unlike if key != ("bool", 8))
):
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
