#!/usr/bin/env bash
# OpenVINO's CPU plugin takes a thread's stack for signal handlers away, and may leave it with none.
#
# Version:   openvino 2026.4.1 (numpy 2.4.6), Python 3.11, Linux x86-64, 2026-11-29
# Expected:  a library that has compiled a graph leaves the thread's alternate signal stack
#            (sigaltstack) as it was, also where its objects are dropped in another thread
# Seen:      the first graph compiled for the CPU gives its thread a smaller stack in place of that of
#            faulthandler. It is taken back when the last graph and core are dropped in that thread;
#            dropped in another thread, its memory is freed and the first thread keeps its address.
#            Such a process later died at an ordinary signal that Python handles, with no message of
#            faulthandler, and nothing in the kernel's log. One core that is never dropped avoids it.
# Output:    compiled: another stack, smaller; dropped here: that of before
#            dropped in another thread: the plugin's, in memory that is not mapped
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import ctypes
import faulthandler
import gc
import os
import threading

import numpy as np
import openvino
import openvino.opset13 as op


class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def signal_stack():
    """Address and size of this thread's stack for signal handlers."""
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.start or 0, stack.size


def is_mapped(address):
    with open("/proc/self/maps") as lines:
        spans = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines]
    return any(low <= address < high for low, high in spans)


def compiled():
    x = op.parameter([1, 3], np.float32)
    core = openvino.Core()
    return [core, core.compile_model(openvino.Model([op.relu(x)], [x]), "CPU")]


faulthandler.enable()
before = signal_stack()
held = compiled()
own = signal_stack()
held.clear()
gc.collect()
after = signal_stack()
print("compiled:", "another stack" if own[0] != before[0] else "the same stack", *(own[1], before[1]))
print("dropped here:", "that of before" if after == before else "another")

held = compiled()
other = threading.Thread(target=lambda: (held.clear(), gc.collect()))
other.start()
other.join()
left = signal_stack()
print("dropped in another thread:", "that of before" if left == before else "the plugin's", end=", ")
print("mapped" if is_mapped(left[0]) else "in memory that is not mapped", flush=True)
seen = own[0] != before[0] and own[1] < before[1] and after == before
seen = seen and left != before and not is_mapped(left[0])
if not seen:
    print("This is no longer so.", flush=True)
os._exit(0 if seen else 1)  # no handler runs any more
EOF
