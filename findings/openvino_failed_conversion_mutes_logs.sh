#!/usr/bin/env bash
# A conversion that OpenVINO refuses leaves the whole process without log entries below ERROR.
#
# Version:   openvino 2026.4.1 (onnx 1.23.2, numpy 2.4.6), Python 3.11, Linux x86-64, 2026-11-30
# Expected:  openvino.convert_model leaves Python's root logger as it was, whether it returns or raises
# Seen:      it does where it returns. Where it raises (here for an operation without a rule), the root
#            logger stays at ERROR and has a filter more with each failed call, so that warnings of
#            other libraries and of the program are lost from then on. A program that tries a
#            conversion and goes on without it has to put level and filters back itself.
# Output:    converted: level WARNING, 0 filters
#            refused (OpConversionFailure): level ERROR, 1 filters
#            refused (OpConversionFailure): level ERROR, 2 filters
#            warnings told: before, converted
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import logging
import sys

import onnx
import openvino
from onnx import TensorProto, helper


def write_model(operation, shape):
    """A valid model of one operation on a 3 x 3 matrix."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("x", [3, 3]), ("y", shape))
    ]
    graph = helper.make_graph([helper.make_node(operation, ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{operation}.onnx")
    return f"{operation}.onnx"


def convert(path):
    try:
        openvino.convert_model(path)
        done = "converted"
    except Exception as error:
        done = f"refused ({type(error).__name__})"
    root = logging.getLogger()
    print(f"{done}: level {logging.getLevelName(root.level)}, {len(root.filters)} filters")
    return root.level, len(root.filters)


told = []
handler = logging.Handler()
handler.emit = lambda record: told.append(record.getMessage())
logging.getLogger().addHandler(handler)
program = logging.getLogger("program")
program.warning("before")
good = convert(write_model("Relu", [3, 3]))
program.warning("converted")
once = convert(write_model("Det", []))
program.warning("refused")
twice = convert("Det.onnx")
print("warnings told:", ", ".join(told))
seen = (
    good == (logging.WARNING, 0)
    and (once, twice) == ((logging.ERROR, 1), (logging.ERROR, 2))
    and told == ["before", "converted"]
)
sys.exit(0 if seen else "This is no longer so.")
EOF
