#!/usr/bin/env bash
# hydra-core 1.3.8, omegaconf 2.3.1; 2026-11-29.
#
# `hydra.utils.instantiate(node, argument=object)` hands a Python object to what it builds. An object
# of a plain class arrives as it is.
#
# Expected: so does an object of a dataclass, with its methods.
# Seen: a dataclass object arrives as a DictConfig made of its fields: its methods are gone, and the
#       first call of one is an error far from the place where the object was handed over
#       (ConfigAttributeError: Key 'area' not in 'Box'). A factory built with `_partial_: true`, which
#       is called with the object afterwards, receives the object itself.
#
# Output of the run on this date:
#   plain class: Plain
#   dataclass: DictConfig
#   dataclass, by a partial: Box
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hydra-core==1.3.8 omegaconf==2.3.1
cat > "$folder/takes.py" <<'PY'
def kind_of(thing):
    return type(thing).__name__
PY
cat > "$folder/run.py" <<'PY'
from dataclasses import dataclass

from hydra.utils import instantiate


class Plain:
    pass


@dataclass
class Box:
    width: float = 2.0

    def area(self) -> float:
        return self.width**2


node = {"_target_": "takes.kind_of"}
seen = {
    "plain class": instantiate(node, thing=Plain()),
    "dataclass": instantiate(node, thing=Box()),
    "dataclass, by a partial": instantiate({**node, "_partial_": True})(thing=Box()),
}
for what, kind in seen.items():
    print(f"{what}: {kind}")
assert list(seen.values()) == ["Plain", "DictConfig", "Box"], "the behaviour has changed"
PY
cd "$folder"
PYTHONPATH="$folder" "$folder/venv/bin/python" run.py
