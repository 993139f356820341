"""One training of the study: what it is called, how it is done, what is kept of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from results import environment  # noqa: E402 (experiments/ is no package)

from covidlit.files import write_json  # noqa: E402

RUNS = ROOT / "runs" / "experiments" / "lesion_segmentation"
FINISHED = HERE / "finished"
SHARED = Path(os.environ.get("COVIDLIT_SHARED", ROOT.parent / "shared"))

SECONDS = {"synthetic": 1200, "synthetic_even": 1500, "paper": 180, "real": 600, "tune": 150}
"""Processor seconds of a training, on one thread, by its name or its part."""

VARIANTS = (
    "unet-narrow",
    "unet-wide",
    "unet-fast",
    "maskrcnn-imagenet",
    "maskrcnn-synthetic",
    "maskrcnn-slow",
)
STARTS = ("scratch", "imagenet", "synthetic")
FOLDS = (0, 1, 2)
NAMES = {
    "synthetic": ["synthetic", "synthetic_even"],
    "paper": [f"paper_{start}" for start in STARTS],
    "tune": [f"tune_{variant}" for variant in VARIANTS],
    "real": [f"real_{net}_{fold}" for fold in FOLDS for net in ("maskrcnn", "unet")],
}
"""The trainings of each part."""

POOLED = {f"real_{net}": [f"real_{net}_{fold}" for fold in FOLDS] for net in ("maskrcnn", "unet")}
"""The test parts of the folds together: each case once."""


def checkpoint(name: str) -> Path:
    """The last checkpoint of a training; those of real slices stay in `runs/`, as all do."""
    return RUNS / name / "last.ckpt"


def seconds_of(name: str) -> float:
    """The budget of a training."""
    return SECONDS.get(name, SECONDS[name.split("_")[0]])


def asked(name: str) -> dict[str, Any]:
    """The settings that make a training what it is, as far as they are not its data."""
    import studies

    own = {"seconds": seconds_of(name), "augmentation": studies.AUGMENTATION}
    return json.loads(json.dumps({**own, **studies.settings_of(name)}))


def is_finished(name: str) -> bool:
    """Whether what is kept of a training is that of these settings.

    Raises:
        SystemExit: it is of others.
    """
    record = FINISHED / name / "run.json"
    if not record.is_file():
        return False
    if json.loads(record.read_text())["asked"] != asked(name):
        sys.exit(f"{record.parent} was made with other settings: delete it to train again.")
    return True


def train_all(names: Iterable[str], at_a_time: int = 2) -> None:
    """Do the trainings that are not kept yet, two at a time, each on one thread."""
    wanted = [name for name in names if not is_finished(name)]
    with ThreadPoolExecutor(at_a_time) as pool:
        for failed in [name for name in pool.map(_start, wanted) if name]:
            sys.exit(f"training failed, see {RUNS / failed / 'output.txt'}")


def _start(name: str) -> str:
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with (folder / "output.txt").open("a") as stream:
        command = [sys.executable, str(HERE / "run.py"), "one", name]
        done = subprocess.run(command, cwd=ROOT, env=variables, stdout=stream, stderr=stream)
    return name if done.returncode else ""


def one(name: str) -> None:
    """Train one network, measure it on the parts that it has not seen, and keep what was found."""
    import measure
    import studies
    import torch
    from training import fit

    torch.set_num_threads(1)
    torch.manual_seed(0)
    part = name.split("_")[0]
    data = studies.data_of(name, SHARED)
    data.setup()
    module = studies.module_of(name, data)
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    every = 2 if part == "synthetic" else 4
    budget = fit(module, data, folder, seconds=seconds_of(name), validate_every=every)
    kept = FINISHED / name
    kept.mkdir(parents=True, exist_ok=True)
    parts = ("validation",) if part == "tune" else ("validation", "test")
    counts, tables = measure.slices_of(module.eval(), data, parts)
    counts.to_csv(kept / "slices.csv", index=False)
    for each in (name, *(pool for pool, folds in POOLED.items() if name in folds)):
        (FINISHED / each / "metrics.json").unlink(missing_ok=True)  # of an earlier measurement
    tables.to_parquet(folder / "tables.parquet")
    record = {
        "asked": asked(name),
        "environment": environment(),
        "seconds": round(budget.spent, 1),
        "steps": budget.steps,
        "parts": {
            own: {"slices": len(rows), "patients": int(rows["patient_id"].nunique())}
            for own, rows in data.table.groupby("part")
        },
        "parameters": sum(p.numel() for p in module.parameters()),
        "curve": budget.curve,
    }
    write_json(kept / "run.json", record)  # last: it says that the rest is whole


def kept(name: str) -> dict[str, Any]:
    """What `one` kept."""
    return dict(json.loads((FINISHED / name / "run.json").read_text()))
