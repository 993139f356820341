"""OpenVINO's core: what it leaves a process with."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

CODE = """
import faulthandler, gc, signal, subprocess, sys, threading
import numpy as np
import openvino, openvino.opset13 as op
from covidlit.deploy.openvino_core import openvino_core
faulthandler.enable()
signal.signal(signal.SIGCHLD, lambda *_: None)
x = op.parameter([1, 3], np.float32)
held = [openvino_core().compile_model(openvino.Model([op.relu(x)], [x]), "CPU")]
def drop():
    held.clear()
    gc.collect()
for _ in range(2):
    other = threading.Thread(target=drop)
    other.start()
    other.join()
    subprocess.run([sys.executable, "-c", ""], check=True)
print("alive")
"""


def test_a_graph_may_be_dropped_in_another_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.split()) == (0, ["alive"]), done.stderr


def test_a_process_has_one() -> None:
    from covidlit.deploy.openvino_core import openvino_core

    assert openvino_core() is openvino_core()


def test_nobody_is_told_that_it_is_used() -> None:
    """OpenVINO reports its import to Google Analytics, and NNCF what it does, unless kept off."""
    code = """
import sys
from covidlit.deploy.extras import require_extra
require_extra("openvino")
try:
    require_extra("nncf", "quantize")
except Exception:
    pass
import openvino.tools.ovc.telemetry_utils as used
print(used.tm.__name__, sys.modules["openvino_telemetry"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "None"], done.stderr
