"""`covidlit quantify` of one series, from DICOM to factors, objects and page, beside torchvision.

    python benchmarks/quantify.py

The series is synthetic: about 300 slices of 512 x 512. The checkpoint is one of `maskrcnn_small`,
trained here on synthetic slices and kept in runs/quantify_benchmark, or `--checkpoint`. The peer is
torchvision's Mask R-CNN (ResNet-50-FPN, second version) at its defaults, eager, over every slice of
the same series: it is timed on a few of them, and times the number of slices. Its weights are
random, as those that it is published with know no lesions; it writes nothing. Writes
results/quantify.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from record import write_results
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from covidlit.dicom import read_series
from covidlit.synthetic import make_cohort

ROOT = Path(__file__).parents[1]
RUN = ROOT / "runs" / "quantify_benchmark"
COMMAND = "python benchmarks/quantify.py"
PEER = "torchvision maskrcnn_resnet50_fpn_v2 at its defaults, eager"
TRAIN = (
    "model=maskrcnn_small", "data=slices", "data.source.n_scans=60", "trainer.max_epochs=6",
    "callbacks=last_epoch", "split.validation_fraction=0", "evaluation.n_bootstrap=100",
)  # fmt: skip
PEER_SLICES = 5


def checkpoint() -> Path:
    """The checkpoint that is kept, or a new one."""
    kept = RUN / "checkpoints" / "last.ckpt"
    if not kept.is_file():
        command = [sys.executable, "train.py", *TRAIN, f"hydra.run.dir={RUN}"]
        subprocess.run(command, cwd=ROOT, check=True)
    return kept


def quantify(model: Path, scans: Path, out: Path) -> tuple[float, float]:
    """Seconds of the whole command, and the most memory that it held, in GB."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "covidlit", "quantify", str(model), str(scans), "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said)
    return time.perf_counter() - start, usage.ru_maxrss / 1e6


def peer_seconds(series: Path) -> float:
    """Seconds of the peer over every slice of a series."""
    hu = read_series(series).hu
    grey = np.clip((hu.astype(np.float32) + 1350) / 1500, 0, 1)
    network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=7).eval()
    seconds = []
    with torch.inference_mode():
        for k in np.linspace(0, len(hu) - 1, PEER_SLICES + 1).astype(int):
            image = torch.from_numpy(grey[k])[None].repeat(3, 1, 1)
            start = time.perf_counter()
            network([image])
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) * len(hu)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="of a run of model=maskrcnn_small")
    arguments = parser.parse_args()
    model = arguments.checkpoint or checkpoint()
    with tempfile.TemporaryDirectory() as name:
        cohort = make_cohort(
            Path(name, "cohort"), preset="lesions", n_scans=1, matrix=512, thickness_mm=1.05
        )
        series = next(path for path in cohort.dicom.rglob("*") if path.is_file()).parent
        shape = "x".join(map(str, read_series(series).hu.shape))
        own, peak = quantify(model, series, Path(name, "out"))
        theirs = peer_seconds(series)
    what = f"covidlit quantify of a series of {shape}"
    rows = [
        (f"{what}: wall clock", own, "s", "<= 60", None),
        (f"{PEER}, over its slices: time / time of covidlit quantify", theirs / own, "ratio",
         ">= 5", PEER),
        (f"{what}: most memory held", peak, "GB", None, None),
    ]  # fmt: skip
    figures = [
        {"figure": figure, "value": round(value, 3), "unit": unit, "target": target,
         "peer": peer, "command": COMMAND}
        for figure, value, unit, target, peer in rows
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']}")
    print(write_results("quantify", figures))


if __name__ == "__main__":
    main()
