"""`covidlit predict` from start to end, today's code beside an earlier one's, and with a server.

    git worktree add /tmp/before COMMIT
    python benchmarks/prediction_start.py --before /tmp/before

Writes benchmarks/results/prediction_start.json. The network is that of benchmarks/prediction.py,
the input a DICOM series of 300 x 512 x 512. Whole commands of both sides alternate, each a process
of its own; beside the wall clock stands the CPU time of the process (of a served request: of client
and server together), which other load on the machine moves less. Scores and heatmaps of both sides
are compared as well.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from dicom_series import write_series
from prediction import RUN, trained
from record import write_results
from rich.progress import track

from covidlit.checkpoints.file import load_checkpoint
from covidlit.deploy.exported import SIDECAR, default_folder
from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.kept import VARIABLE

ROOT = Path(__file__).parents[1]
COLD = "now, with nothing kept"
"""As the first call with a network is; later ones find its hashes and what OpenVINO compiled."""

LATER = ("heat", "computes_in", "parity", "tolerances", "n_calibration", "method", "processor")
"""What `model.json` has had since."""

LATER_OPTIONS = ("input_bins", "activation_checkpointing")
"""What CSAC-Net has had since, and what this checkpoint leaves out."""

TARGETS = {("score", "now"): "<= 0.65", ("heatmap", "now"): "<= 0.5", ("score", "served"): "<= 0.2"}
"""Of the wall time."""


class Took(NamedTuple):
    """Seconds of one command, by the clock on the wall and of the CPU."""

    wall: float
    cpu: float


def exported_network(scans: int) -> Path:
    """The checkpoint of the benchmark, whose export holds a graph of heatmaps."""
    checkpoint = RUN / "benchmark.ckpt"
    sidecar = default_folder(checkpoint) / SIDECAR
    if not sidecar.is_file() or json.loads(sidecar.read_text()).get("heat") is None:
        checkpoint = trained(scans)[0]
    return checkpoint


def for_earlier_code(checkpoint: Path, folder: Path) -> Path:
    """A copy of the checkpoint and its export without what the earlier code does not know."""
    copy = folder / checkpoint.name
    content = load_checkpoint(checkpoint)
    net = content["hyper_parameters"]["net"]
    for name in LATER_OPTIONS:
        if net.pop(name, None):
            sys.exit(f"{checkpoint} uses {name}, which the earlier code has not: train it anew.")
    torch.save(content, copy)
    shutil.copytree(
        default_folder(checkpoint), default_folder(copy), ignore=shutil.ignore_patterns("heat.*")
    )
    sidecar = default_folder(copy) / SIDECAR
    record = json.loads(sidecar.read_text())
    for name in LATER:
        record.pop(name, None)
    record["checkpoint_sha256"] = file_hash(copy)
    sidecar.write_text(json.dumps(record))
    return copy


def entry(root: Path) -> list[str]:
    """What starts the code in a folder, as its installed `covidlit` does."""
    with (root / "pyproject.toml").open("rb") as file:
        module, _, name = tomllib.load(file)["project"]["scripts"]["covidlit"].partition(":")
    return [sys.executable, "-c", f"from {module} import {name}; {name}()"]


def command(root: Path, words: list[str], more: dict[str, str], server: int | None = None) -> Took:
    """Run `covidlit predict` with the code in a folder and more in the environment.

    Its CPU time is that of the command, and of a server's process where that is given.
    """
    env = {**os.environ, "PYTHONPATH": str(root), **more}
    start_cpu, served = _children(), 0.0 if server is None else _cpu_of(server)
    start = time.perf_counter()
    subprocess.run(
        [*entry(root), "predict", *words],
        cwd=root, env=env, check=True, capture_output=True,
    )  # fmt: skip
    wall = time.perf_counter() - start
    in_server = 0.0 if server is None else _cpu_of(server) - served
    return Took(wall, _children() - start_cpu + in_server)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(words: list[str], at: Path, more: dict[str, str]) -> Iterator[int]:
    """A server of today's code on a socket; its process id."""
    process = subprocess.Popen(
        [*entry(ROOT), "predict", *words, "--serve", str(at)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()  # it can answer
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def measured(
    before: Path, checkpoint: Path, n_slices: int, runs: int, threads: int
) -> tuple[dict[tuple[str, str], list[Took]], dict[str, float]]:
    """What each command of each side took, and how far apart their results lie."""
    took: dict[tuple[str, str], list[Took]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(folder / "series", n_slices)
        earlier = for_earlier_code(checkpoint, folder)
        common = ["--engine", "openvino", "--threads", str(threads)]

        def words(model: Path, side: str, heat: bool) -> list[str]:
            out = [str(model), str(folder / "series"), "--out", str(folder / f"{side}.csv")]
            return [*out, *(["--heatmaps", str(folder / side)] if heat else [])]

        at, kept = folder / "socket", {VARIABLE: str(folder / "kept")}
        with serving([str(checkpoint), *common], at, kept) as server:
            for run in track(range(runs + 1), "Whole commands"):
                for what, heat in (("score", False), ("heatmap", True)):
                    sides = {
                        "before": (before, [*words(earlier, "before", heat), *common], {}),
                        "now": (ROOT, [*words(checkpoint, "now", heat), *common], {}),
                        COLD: (ROOT, [*words(checkpoint, "cold", heat), *common], {VARIABLE: ""}),
                        "served": (
                            ROOT,
                            [*words(checkpoint, "served", heat), "--server", str(at)],
                            {},
                        ),
                    }
                    for side in list(sides) if run % 2 else list(sides)[::-1]:
                        root, said, more = sides[side]
                        of = server if side == "served" else None
                        found = command(root, said, {**kept, **more}, of)
                        if run:  # the first round warms up
                            took[what, side].append(found)
        return took, _apart(folder)


def _apart(folder: Path) -> dict[str, float]:
    """How far today's scores and heatmaps lie from the earlier code's."""
    scores = {side: pd.read_csv(folder / f"{side}.csv")["score"][0] for side in ("before", "now")}
    heat = {}
    for side in scores:
        (path,) = (folder / side).glob("*.heat.nii.gz")
        heat[side] = nib.load(path).get_fdata()
    return {
        "difference of the score": abs(scores["before"] - scores["now"]),
        "correlation of the heat's voxels": float(
            np.corrcoef(heat["before"].ravel(), heat["now"].ravel())[0, 1]
        ),
        "largest heat, now to before": float(heat["now"].max() / heat["before"].max()),
    }


def main() -> None:
    """Measure and write `benchmarks/results/prediction_start.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="a checkout of earlier code")
    parser.add_argument("--runs", type=int, default=5, help="of each command")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scans", type=int, default=24, help="of the export, where none is there")
    args = parser.parse_args()
    checkpoint = exported_network(args.scans)
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=args.before, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    done = f"python benchmarks/prediction_start.py --before CHECKOUT_OF_{head} --runs {args.runs}"
    done += f" --slices {args.slices} --threads {args.threads}"
    took, apart = measured(args.before.resolve(), checkpoint, args.slices, args.runs, args.threads)
    figures: list[dict[str, Any]] = []

    def add(figure: str, value: float, unit: str, target: str | None, peer: str | None) -> None:
        print(f"{figure}: {value:.4g} {unit}")
        figures.append(
            {"figure": figure, "value": float(f"{value:.4g}"), "unit": unit, "target": target,
             "peer": peer, "command": done}
        )  # fmt: skip

    for (what, side), times in took.items():
        named = f"covidlit predict, DICOM of {args.slices} x 512 x 512 to a {what}, {side}"
        for clock in ("wall", "cpu"):
            median = statistics.median(getattr(one, clock) for one in times)
            add(f"{named}: {clock} time", median, "s", None, None)
            if side != "before":
                pairs = zip(times, took[what, "before"], strict=True)
                ratio = statistics.median(
                    getattr(one, clock) / getattr(other, clock) for one, other in pairs
                )
                target = TARGETS.get((what, side)) if clock == "wall" else None
                add(f"{named}: {clock} time to before", ratio, "ratio, median", target, head)
    for name, value in apart.items():
        target = "<= 1e-4" if "score" in name else None
        add(f"now beside before: {name}", value, "", target, head)
    print(write_results("prediction_start", figures))


if __name__ == "__main__":
    main()
