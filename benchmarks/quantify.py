"""`covidlit quantify` of one series, from DICOM to factors, objects and page, beside torchvision.

    python benchmarks/quantify.py

The series is synthetic: about 300 slices of 512 x 512. The checkpoint is one of `maskrcnn_small`,
trained here on synthetic slices and kept in runs/quantify_benchmark, or `--checkpoint`; where it
has no export for OpenVINO beside it, that is made. The peer is torchvision's Mask R-CNN
(ResNet-50-FPN, second version) at its defaults, eager, over every slice of the same series: it is
timed on a few of them, and times the number of slices. Its weights are random, as those that it is
published with know no lesions; it writes nothing.

Also what the engine costs in agreement: Dice of lesions (classes merged) with the truth on
synthetic patients that the checkpoint has not seen, by the export and by the same network in eager
PyTorch; and the DICOM objects alone of a scan with 300 lesions. Writes results/quantify.json.
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
from typing import NamedTuple

import numpy as np
import torch
from record import write_results
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from covidlit.cohort.scan_sources import find_scans
from covidlit.deploy.exported import default_folder, is_export
from covidlit.dicom import Checks, find_series, read_series
from covidlit.dicom.out import write_objects
from covidlit.lesions import quantify_labels, read_labels
from covidlit.quantify.network import NetworkLabeller
from covidlit.scans.lesion_labels import LesionLabels
from covidlit.synthetic import CohortPaths, make_cohort

ROOT = Path(__file__).parents[1]
RUN = ROOT / "runs" / "quantify_benchmark"
COMMAND = "python benchmarks/quantify.py"
PEER = "torchvision maskrcnn_resnet50_fpn_v2 at its defaults, eager"
TRAIN = (
    "model=maskrcnn_small", "data=slices", "data.source.n_scans=60", "trainer.max_epochs=6",
    "callbacks=last_epoch", "split.validation_fraction=0", "evaluation.n_bootstrap=100",
)  # fmt: skip
PEER_SLICES = 5
N_LESIONS = 300
TEST_PATIENTS = {"preset": "lesions", "n_scans": 12, "matrix": 128, "thickness_mm": 8.0, "seed": 77}
"""Of another seed than those that the checkpoint is trained on."""


def checkpoint() -> Path:
    """The checkpoint that is kept, or a new one."""
    kept = RUN / "checkpoints" / "last.ckpt"
    if not kept.is_file():
        command = [sys.executable, "train.py", *TRAIN, f"hydra.run.dir={RUN}"]
        subprocess.run(command, cwd=ROOT, check=True)
    return kept


def exported(model: Path, scans: Path) -> None:
    """Make the export beside a checkpoint, where there is none."""
    if not is_export(default_folder(model)):
        command = [sys.executable, "-m", "covidlit", "export", str(model), "--scans", str(scans)]
        subprocess.run(command, cwd=ROOT, check=True)


class Usage(NamedTuple):
    """Of a whole command and the programs that it starts: seconds, and the most memory in GB."""

    wall: float
    cpu: float
    peak: float


def quantify(model: Path, scans: Path, out: Path, engine: str) -> Usage:
    """Run the command on a series."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "covidlit", "quantify", str(model), str(scans)]
    with subprocess.Popen(
        [*command, "--out", str(out), "--engine", engine],
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
    seconds = time.perf_counter() - start
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9)


def lesion_dice(model: Path, engine: str, cohort: CohortPaths) -> float:
    """Dice of the lesions of all patients together with the truth, whatever their class."""
    assert cohort.truth is not None
    labeller = NetworkLabeller(model, engine=engine)
    common = both = 0
    for source in find_scans(cohort.dicom, Checks()):
        assert source.read is not None
        scan = source.read()
        own, truth = (
            labels.classes > 1
            for labels in (
                labeller.label(source, source.scan_id, scan),
                read_labels(cohort.truth, source.scan_id, scan),
            )
        )
        common += int((own & truth).sum())
        both += int(own.sum() + truth.sum())
    return 2 * common / both


def objects_seconds(series: Path, truth: Path, out: Path) -> tuple[float, int]:
    """Seconds of the DICOM objects of a scan with many small lesions in its lungs, and how many."""
    (found,) = find_series(series).series
    scan = read_series(series)
    (name,) = (path.name.split(".")[0] for path in truth.glob("*.classes.nii.gz"))
    lungs = read_labels(truth, name, scan).classes > 0
    classes, instances = lungs.astype(np.uint8), np.zeros(lungs.shape, np.int32)
    z, y, x = np.mgrid[-3:4, -5:6, -5:6]
    ball, n = (z / 3) ** 2 + (y / 5) ** 2 + (x / 5) ** 2 <= 1, 0
    places = np.argwhere(lungs[8:-8:8, 16:-16:16, 16:-16:16]) * (8, 16, 16) + (8, 16, 16)
    for z, y, x in np.random.default_rng(0).permutation(places)[:N_LESIONS]:
        box = (slice(z - 3, z + 4), slice(y - 5, y + 6), slice(x - 5, x + 6))
        n += 1
        classes[box][ball], instances[box][ball] = 3, n
    factors = quantify_labels(scan, LesionLabels(classes, instances, scan.affine))
    start = time.perf_counter()
    write_objects(found, scan, classes, instances, factors.scan, factors.lesions, out)
    return time.perf_counter() - start, n


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
        patients = make_cohort(Path(name, "patients"), **TEST_PATIENTS)
        exported(model, patients.dicom)
        cohort = make_cohort(
            Path(name, "cohort"), preset="lesions", n_scans=1, matrix=512, thickness_mm=1.05
        )
        assert cohort.truth is not None
        series = next(path for path in cohort.dicom.rglob("*") if path.is_file()).parent
        shape = "x".join(map(str, read_series(series).hu.shape))
        own = quantify(model, series, Path(name, "out"), "openvino")
        eager = quantify(model, series, Path(name, "eager"), "torch")
        theirs = peer_seconds(series)
        dice = {engine: lesion_dice(model, engine, patients) for engine in ("torch", "openvino")}
        objects, n = objects_seconds(series, cohort.truth, Path(name, "objects"))
    what, unseen = f"covidlit quantify of a series of {shape}", "synthetic patients not trained on"
    rows = [
        (f"{what}: wall clock", own.wall, "s", "<= 60", None),
        (f"{what}: processor time", own.cpu, "s", None, None),
        (f"{what}: most memory held", own.peak, "GB", None, None),
        (f"{what}, --engine torch: wall clock", eager.wall, "s", None, None),
        (f"{what}, --engine torch: most memory held", eager.peak, "GB", None, None),
        (f"{PEER}, over its slices: time / time of covidlit quantify", theirs / own.wall, "ratio",
         ">= 5", PEER),
        (f"Dice of lesions, {unseen}, eager PyTorch", dice["torch"], "Dice", None, None),
        (f"Dice of lesions, {unseen}: eager PyTorch less the export",
         dice["torch"] - dice["openvino"], "Dice", "<= 0.01", "the same network, eager PyTorch"),
        (f"DICOM objects of {n} lesions in a series of {shape}: wall clock", objects, "s", None,
         None),
    ]  # fmt: skip
    figures = [
        {"figure": figure, "value": round(value, 4), "unit": unit, "target": target,
         "peer": peer, "command": COMMAND}
        for figure, value, unit, target, peer in rows
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']}")
    print(write_results("quantify", figures))


if __name__ == "__main__":
    main()
