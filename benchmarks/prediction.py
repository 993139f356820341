"""Prediction on the CPU: engines on one prepared volume, and from a DICOM series to a score.

    python benchmarks/prediction.py

Writes benchmarks/results/prediction.json. The network is the default CSAC-Net (27.55 M parameters);
its checkpoint is trained here, to tell women from men (pneumonia takes hours to learn) on synthetic
scans in 17 steps at half the resolution, then its Linear layers in 40 steps at the full one (32 x
128 x 128 voxels over the same extent) on 24 of these scans, so that its AUC is neither 0.5 nor 1;
it is kept in runs/prediction_benchmark. Exports in int8 and in bfloat16 are compared on 300
synthetic scans of another seed, which calibrated and trained nothing. `--checkpoint` compares
another network, such as a copy of that of `make demo`, on them too. Exports are kept as well, with
what was compared: `--export-only` makes them, on a machine that need not be quiet, and the same
command without it measures times.
Every side starts from the same int16 HU and ends with a probability. "Eager" is PyTorch in its
default memory format; covidlit's own torch engine keeps channels last. MONAI's ResNet-50 (46.16 M
parameters, random weights) stands beside it with its own stem, of stride 1, and with CSAC-Net's, of
stride 2. Runs alternate, so that other load meets all sides alike.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dicom_series import write_series
from numpy.typing import NDArray
from parity_figures import add_parity
from plain_convolutions import use_plain_convolutions
from record import write_results
from rich.progress import track
from sklearn.metrics import roc_curve
from torch.nn.functional import binary_cross_entropy_with_logits

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_sources import find_scans
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy import load_engine
from covidlit.deploy.export import export
from covidlit.deploy.exported import ExportRecord, default_folder, read_export
from covidlit.deploy.exported_engine import open_openvino
from covidlit.deploy.graph import VolumeScorer, write_onnx, write_openvino
from covidlit.deploy.parity_scans import parity_volumes
from covidlit.dicom import Checks
from covidlit.errors import ExportError
from covidlit.explain import HeatmapWriter
from covidlit.explain.heat_export import export_heat
from covidlit.explain.scale import scale_of, store_scale
from covidlit.preprocess import prepare_scan
from covidlit.synthetic.source import synthetic_manifest
from covidlit.tasks import VolumeClassification
from covidlit.tasks.load import load_task

ROOT = Path(__file__).parents[1]
RUN = ROOT / "runs" / "prediction_benchmark"
SIZE = (32, 128, 128)
SHAPE = "32x128x128"
TRAIN = [
    "train.py", "experiment=quickstart", "name=prediction_benchmark",
    "data.source.n_scans=200", "label_rule=by_column", "label_rule.column=sex",
    "label_rule.positive=[F]", "data.geometry.size=[16,64,64]",
    "data.geometry.spacing=[20.0,6.0,6.0]", "data.batch_size=8", "trainer.max_epochs=1",
    "model.task.net.width=64", "model.task.net.input_bins=null", "model.task.optimizer.lr=1e-3",
    "evaluation.n_bootstrap=100",
]  # fmt: skip
HEAD_SCANS, HEAD_STEPS = 24, 40
"""Few of both, so that classes overlap: an AUC of 1 would hide what fewer bits do."""
HELD_OUT = {"n_scans": 340, "seed": 1, "matrix": 96, "thickness_mm": 5.0}
COMPARED, CALIBRATED = 300, 32
WIDE = {"tolerance": 0.15, "auc_tolerance": 1.0, "changed_calls": 1.0}
"""What misses a target is measured and written down, not refused."""
HEAT_SCANS = 4
WITH_HEATMAP = "OpenVINO, with a heatmap"
Score = Callable[[NDArray[np.int16]], Any]


def trained(scans: int) -> tuple[Path, Path, ExportRecord]:
    """The checkpoint, the manifest of its cohort and its export; trained if it is not there."""
    checkpoint, last = RUN / "benchmark.ckpt", RUN / "run" / "checkpoints" / "last.ckpt"
    if not last.is_file():
        folders = [f"data_dir={RUN / 'data'}", f"hydra.run.dir={RUN / 'run'}"]
        subprocess.run([sys.executable, *TRAIN, *folders], cwd=ROOT, check=True)
    manifest = next((RUN / "data").rglob("manifest.csv"))
    if not checkpoint.is_file():
        content = load_checkpoint(last)
        geometry = {"spacing": [10.0, 3.0, 3.0], "size": list(SIZE)}
        content["covidlit"]["record"]["preprocess"]["geometry"] = geometry
        record = read_record(content, last)
        head, point = trained_head(load_task(last).net, record, manifest)
        content["covidlit"]["record"]["operating_point"] = point
        content["state_dict"] |= {f"net.head.{name}": value for name, value in head.items()}
        whole = checkpoint.with_name("new.ckpt")
        torch.save(content, whole)
        keep_heat_scale(whole, manifest)
        whole.rename(checkpoint)
    done = kept_export(checkpoint, manifest, None, n_scans=scans, heat=export_heat)
    return checkpoint, manifest, done


def kept_export(checkpoint: Path, scans: Path, folder: Path | None, **options: Any) -> ExportRecord:
    """The export of an earlier call, if of this checkpoint and as many scans; else a new one."""
    with suppress(ExportError):
        kept = read_export(folder or default_folder(checkpoint), "openvino", checkpoint)
        if kept.n_scans == options.get("n_scans", kept.n_scans):
            return kept
    done = export(checkpoint, scans, folder, progress=True, **options)
    assert isinstance(done, ExportRecord)
    return done


def keep_heat_scale(checkpoint: Path, manifest: Path) -> None:
    """Store the scale of heatmaps at the geometry that the checkpoint scores at.

    The run itself may have stored the one at its own, coarser geometry.
    """
    writer = HeatmapWriter(checkpoint, checkpoint.parent, scale=1.0)  # of pictures, not of heat
    table = read_manifest(manifest)
    cases = set(table.loc[table["class_name"] == "covid", "scan_id"])
    found = [source for source in find_scans(manifest, Checks()) if source.scan_id in cases]
    reads = [source.read for source in found[:HEAT_SCANS] if source.read is not None]
    maxima = [
        writer.explain(prepare_scan(read(), writer.geometry)).maximum
        for read in track(reads, "Scale of heatmaps")
    ]
    store_scale(checkpoint, writer.layer, writer.method, scale_of(maxima))


def trained_head(net: Any, record: RunRecord, manifest: Path) -> tuple[dict[str, Any], float]:
    """Train the Linear layers at the full resolution; returns their state, and the score that tells
    the two classes of these scans apart best (Youden's index)."""
    female = read_manifest(manifest)["sex"] == "F"
    hu = parity_volumes(manifest, record, len(female))
    if len(hu) != len(female):
        raise RuntimeError("a synthetic scan was refused")
    places = np.linspace(0, len(hu) - 1, HEAD_SCANS).round().astype(int)
    with torch.inference_mode():
        features = [
            net.pool(net.features(apply_window(volume[None, None], record.preprocess.window)))
            for volume in track(torch.from_numpy(hu[places]), "Features for the head")
        ]
    pooled, target = torch.cat(features).clone(), torch.tensor(female.to_numpy()[places]).float()
    head = net.head.train()
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in range(HEAD_STEPS):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(head(pooled)[:, 0], target).backward()
        optimizer.step()
    with torch.inference_mode():
        found = torch.sigmoid(head.eval()(pooled)[:, 0]).numpy()
    false, true, points = roc_curve(target.numpy(), found)
    least = points[(true - false)[1:].argmax() + 1]
    below = max((one for one in found if one < least), default=0.0)
    return head.state_dict(), float(least + below) / 2  # no scan lies on it: rounding decides none


def reduced(checkpoint: Path, precision: str) -> tuple[Path, ExportRecord]:
    """The folder of the export in fewer bits, compared on scans that the network has not seen."""
    held_out = synthetic_manifest(str(RUN / "held_out"), inclusion=None, **HELD_OUT)
    folder = RUN / "reduced" / checkpoint.stem / precision
    done = kept_export(
        checkpoint, held_out, folder, precision=precision, n_scans=COMPARED,
        n_calibration=CALIBRATED, **WIDE,
    )  # fmt: skip
    return folder, done


def eager(scorer: VolumeScorer) -> Score:
    """PyTorch's default memory format and kernels."""
    scorer = scorer.to(memory_format=torch.contiguous_format).eval()
    use_plain_convolutions(scorer)

    def score(hu: NDArray[np.int16]) -> Any:
        with torch.inference_mode():
            return scorer(torch.from_numpy(hu)).tolist()

    return score


def monai_sides(folder: Path, threads: int) -> dict[str, Score]:
    """MONAI's ResNet-50, eager and in OpenVINO, with both strides of the stem."""
    from monai.networks.nets import resnet50

    sides: dict[str, Score] = {}
    for label, stride in (("its own stem", 1), ("stem stride 2", 2)):
        torch.manual_seed(0)
        net = resnet50(n_input_channels=1, num_classes=1, conv1_t_stride=stride)
        scorer = VolumeScorer(net, VolumeClassification.scores, (-1000.0, 400.0)).eval()
        path = folder / f"stride{stride}.onnx"
        write_onnx(scorer, SIZE, path)
        write_openvino(path, path.with_suffix(".xml"))
        sides[f"MONAI ResNet-50, {label}, eager"] = eager(scorer)
        sides[f"MONAI ResNet-50, {label}, OpenVINO"] = open_openvino(
            path.with_suffix(".xml"), threads
        )
    return sides


def interleaved(sides: dict[str, Score], hu: NDArray[np.int16], repeats: int) -> dict[str, float]:
    """Median seconds of each side."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in track(range(repeats + 1), "Scoring one volume"):
        for name in list(sides) if repeat % 2 else list(sides)[::-1]:
            start = time.perf_counter()
            sides[name](hu)
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def end_to_end(command: list[str]) -> tuple[float, dict[str, float]]:
    """Seconds of `covidlit predict --timings`, from start to end, and of each step it prints."""
    code = "from covidlit.cli.main import main; main()"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", *command, "--timings"],
        cwd=ROOT, check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    total = time.perf_counter() - start
    rows = re.findall(r"│ (.+?) +│ +([\d.]+) │ +\d+% │", done.stdout)
    steps = {name: float(seconds) for name, seconds in rows}
    (inside,) = re.findall(r"([\d.]+) s in all", done.stdout)
    return total, {"start and end of Python": total - float(inside), **steps}


def whole_commands(
    checkpoint: Path, n_slices: int, runs: int, options: list[str]
) -> dict[str, tuple[float, dict[str, float]]]:
    """`end_to_end` of each way to score a series with `n_slices` slices: that of the median run.

    Args:
        checkpoint: with its export beside it and a scale of heatmaps in it.
        n_slices: of each series.
        runs: how often each command runs; the commands alternate.
        options: more of `covidlit predict`.
    """
    with tempfile.TemporaryDirectory() as name:
        series, many = Path(name, "series"), Path(name, "many")
        write_series(series, n_slices)
        for seed in range(4):
            write_series(many / str(seed), n_slices, seed=seed)
        folder, heatmaps = str(default_folder(checkpoint)), Path(name, "heatmaps")
        sides = {
            "OpenVINO": [folder, str(series), "--engine", "openvino"],
            WITH_HEATMAP: [
                str(checkpoint), str(series), "--engine", "openvino", "--device", "cpu",
                "--heatmaps", str(heatmaps),
            ],
            "torch": [str(checkpoint), str(series), "--engine", "torch", "--device", "cpu"],
            "OpenVINO, 4 series": [folder, str(many), "--engine", "openvino"],
        }  # fmt: skip
        out = ["--out", str(Path(name, "scores.csv"))]
        found: dict[str, list[tuple[float, dict[str, float]]]] = {side: [] for side in sides}
        for _ in track(range(runs), "Whole commands"):
            for side, arguments in sides.items():
                found[side].append(end_to_end([*arguments, *out, *options]))
        if len(list(heatmaps.glob("*.heat.nii.gz"))) != 1:
            raise RuntimeError("the heatmap was not written")
    return {
        side: sorted(timed, key=lambda run: run[0])[len(timed) // 2]
        for side, timed in found.items()
    }


def main() -> None:
    """Measure everything and write `benchmarks/results/prediction.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--runs", type=int, default=3, help="of the whole command")
    parser.add_argument("--slices", type=int, default=300, help="of each series")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scans", type=int, default=24, help="of the parity check")
    parser.add_argument(
        "--checkpoint", type=Path, help="another network, to be compared in fewer bits"
    )
    parser.add_argument("--export-only", action="store_true", help="measure no times yet")
    parser.add_argument(
        "--predict-options", nargs=argparse.REMAINDER, default=[], help="more of covidlit predict"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    command = f"python benchmarks/prediction.py --repeats {args.repeats} --runs {args.runs}"
    command += f" --threads {args.threads} --scans {args.scans} --slices {args.slices}"
    if args.checkpoint is not None:
        command += f" --checkpoint {args.checkpoint}"
    if args.predict_options:
        command += " --predict-options " + " ".join(args.predict_options)
    figures: list[dict[str, Any]] = []

    def add(
        figure: str, value: float, unit: str, target: str | None = None, peer: str | None = None
    ) -> None:
        print(f"{figure}: {value:.4g} {unit}")
        figures.append(
            {
                "figure": figure, "value": float(f"{value:.4g}"), "unit": unit, "target": target,
                "peer": peer, "command": command,
            }
        )  # fmt: skip

    checkpoint, manifest, exported = trained(args.scans)
    compared = f"{exported.n_scans} of the synthetic scans that it was trained on"
    for kind, difference in exported.differences.items():
        name = f"largest difference of a score, {kind} to PyTorch in float32, {compared}"
        add(name, difference, "probability", "<= 1e-4", "PyTorch, eager")
    add(f"spread of PyTorch's scores, {compared}", exported.spread, "probability", "> 0.1")

    folders = {}
    for precision in ("int8", "bf16"):
        folders[precision], done = reduced(checkpoint, precision)
        add_parity(add, done, "CSAC-Net of default widths")
    if args.checkpoint is not None:
        for precision in ("int8", "bf16"):
            _, done = reduced(args.checkpoint, precision)
            add_parity(add, done, "network of --checkpoint", targets=False)
    if args.export_only:
        return
    engines = {
        name: load_engine(checkpoint, name, threads=args.threads, device="cpu")
        for name in ("torch", "onnxruntime", "openvino")
    }
    task, window = load_task(checkpoint), engines["torch"].record.preprocess.window
    assert isinstance(task, VolumeClassification)
    hu = parity_volumes(manifest, engines["torch"].record, 2)[:1]
    with tempfile.TemporaryDirectory() as name:
        medians = interleaved(
            {
                "CSAC-Net, eager": eager(VolumeScorer(task.net, task.scores, window)),
                "CSAC-Net, torch engine": engines["torch"].scores,
                "CSAC-Net, ONNX Runtime": engines["onnxruntime"].scores,
                "CSAC-Net, OpenVINO": engines["openvino"].scores,
                **{
                    f"CSAC-Net, OpenVINO in {precision}": load_engine(
                        folder, threads=args.threads
                    ).scores
                    for precision, folder in folders.items()
                },
                **monai_sides(Path(name), args.threads),
            },
            hu,
            args.repeats,
        )
    what = f"one volume of {SHAPE}, {args.threads} threads"
    for side, against, target in (
        ("CSAC-Net, OpenVINO", "CSAC-Net, eager", ">= 3"),
        ("CSAC-Net, OpenVINO in bf16", "CSAC-Net, eager", ">= 6"),
        ("CSAC-Net, OpenVINO in int8", "CSAC-Net, eager", ">= 6"),
        ("CSAC-Net, OpenVINO", "CSAC-Net, torch engine", None),
        ("CSAC-Net, ONNX Runtime", "CSAC-Net, eager", None),
        *(
            (f"MONAI ResNet-50, {stem}, OpenVINO", f"MONAI ResNet-50, {stem}, eager", None)
            for stem in ("its own stem", "stem stride 2")
        ),
    ):
        ratio = medians[against] / medians[side]
        add(f"{what}: speed of {side}", ratio, "ratio of median times", target, against)
    for side, median in medians.items():
        add(f"{what}: {side}", median, "s")

    options = ["--threads", str(args.threads), *args.predict_options]
    found = whole_commands(checkpoint, args.slices, args.runs, options)
    for side, (total, steps) in found.items():
        what = f"covidlit predict, DICOM of {args.slices} x 512 x 512 to a score, {side}"
        add(what, total, "s", "< 10" if side in ("OpenVINO", WITH_HEATMAP) else None)
        for step, seconds in steps.items():
            add(f"{what}: share of {step}", 100 * seconds / sum(steps.values()), "% of the work")
        add(f"{what}: all steps together", sum(steps.values()) / total, "of the time")
    print(write_results("prediction", figures))


if __name__ == "__main__":
    main()
