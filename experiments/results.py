"""Run `train.py`, read what it measured, and keep it with the environment it was measured in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import environment  # noqa: E402 (benchmarks/ is not a package)

from covidlit.files import fingerprint, write_json  # noqa: E402

if TYPE_CHECKING:
    from omegaconf import DictConfig

_COMPOSING = Lock()
RUNS = ROOT / "runs" / "experiments"
SHAPING = (
    "inclusion", "data", "label_rule", "split", "augmentation", "model", "trainer", "seed"
)  # fmt: skip
"""The nodes of the configuration that decide what a run's weights become."""

FIRST_NETWORK = [
    "model.task.net.input_bins=null", "model.task.net.input_mean=0.4",
    "model.task.net.input_std=0.33", "model.task.scheduler.pct_start=0.3",
]  # fmt: skip
FIRST_RECIPE = ["experiment=quickstart", "trainer.max_epochs=20", *FIRST_NETWORK]
"""The quickstart as it was before soft bins and a short warm-up (experiments/learning_recipe)."""

KEPT = ("predictions.parquet", "metrics.json", "split.json")


class Run(NamedTuple):
    """What a finished run measured (`metrics.json`), and what it was measured with."""

    metrics: dict[str, Any]
    environment: dict[str, Any]
    folder: Path
    spent: dict[str, float]


def train(
    name: str,
    overrides: list[str],
    threads: int | None = None,
    script: str = "train.py",
    keep_in: Path | None = None,
) -> Run:
    """Train one configuration, unless that was done already with the same settings.

    The settings are the composed ones that shape a training (`SHAPING`). A run that was killed goes
    on from its last epoch.

    Args:
        name: of the run folder, below `runs/experiments`.
        overrides: of `train.py`.
        threads: of PyTorch; None: all cores.
        script: that is run, relative to the project.
        keep_in: a folder to which the files `KEPT` of a finished run are copied. What lies there
            already is not trained again, so a study goes on from a fresh checkout.

    Returns:
        The run; its folder is the kept one, if there is one. `spent` holds the seconds of the
        clock ("wall") and of the processor ("cpu") of its last start, and how many "starts" it had.

    Raises:
        SystemExit: the folder holds a run of another configuration.
    """
    run_dir = RUNS / name
    metrics, record = run_dir / "metrics.json", run_dir / "asked.json"
    asked = {"script": script, "threads": threads, "settings": settings_hash(overrides)}
    kept = (run_dir if keep_in is None else keep_in / Path(name).name) / record.name
    done = keep_in is not None and kept.is_file()
    if not done and not record.is_file():
        if metrics.is_file():
            sys.exit(f"{run_dir} holds a run that does not say what it was asked: delete it.")
        write_json(record, asked | {"environment": environment()})
    known = json.loads((kept if done else record).read_text())
    measured_with, spent = known.pop("environment"), known.pop("spent", {"starts": 0})
    if known != asked:
        place = kept.parent if done else run_dir
        sys.exit(f"{place} holds a run of another configuration: delete it to train again.")
    if done:
        return Run(json.loads((kept.parent / "metrics.json").read_text()), measured_with,
                   kept.parent, spent)  # fmt: skip
    if not metrics.is_file():
        last = run_dir / "checkpoints" / "last.ckpt"
        # The report keeps the command: no path of this machine in it.
        resume = [f"ckpt_path={last.relative_to(ROOT)}"] if last.is_file() else []
        command = [sys.executable, script, *overrides, *resume]
        command.append(f"hydra.run.dir={run_dir.relative_to(ROOT)}")
        spent = {"starts": spent["starts"] + 1}
        write_json(record, asked | {"environment": measured_with, "spent": spent})
        spent |= _spend(command, run_dir / "output.txt", threads)
        write_json(record, asked | {"environment": measured_with, "spent": spent})
    if keep_in is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        for file in KEPT:
            shutil.copyfile(run_dir / file, kept.parent / file)
        shutil.copyfile(record, kept)  # last: it says that the others are whole
    return Run(json.loads(metrics.read_text()), measured_with, kept.parent, spent)


def _spend(command: list[str], output: Path, threads: int | None) -> dict[str, float]:
    """Run a command and return its seconds, its own and its children's.

    Raises:
        SystemExit: it failed.
    """
    variables = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    start = time.monotonic()
    with output.open("a") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | variables, stdout=stream, stderr=stream
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"training failed, see {output}")
    seconds = {"wall": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime}
    return {name: round(value, 1) for name, value in seconds.items()}


def make_cohort(overrides: Sequence[str]) -> Path:
    """Write and prepare the cohort of a run, so that several runs at a time find it there.

    Returns:
        Its manifest.
    """
    from omegaconf import OmegaConf

    from covidlit.datamodules.build import build_datamodule

    os.chdir(ROOT)  # where train.py works
    tree = composed(["name=cohort", *overrides])
    config = OmegaConf.to_container(tree, resolve=True)
    assert isinstance(config, dict)
    return build_datamodule({str(key): value for key, value in config.items()}).manifest_path


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration of a run, as train.py composes it."""
    from hydra import compose, initialize_config_dir

    # Hydra keeps what it composes with in one place for all threads.
    with _COMPOSING, initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", list(overrides))


def settings_hash(overrides: Sequence[str]) -> str:
    """Hash of the composed settings that shape a training's weights: without folders, say."""
    from omegaconf import OmegaConf

    tree = OmegaConf.to_container(composed(overrides), resolve=False)
    assert isinstance(tree, dict)
    settings = {name: tree[name] for name in SHAPING}
    data = settings["data"]
    data.pop("cache_dir")
    data["source"].pop("folder")
    net = settings["model"].get("task", {}).get("net", {})
    net.pop("activation_checkpointing", None)  # the same bits
    return fingerprint(settings)


def auc(run: Run, part: str = "test") -> dict[str, Any]:
    """The AUC of a part: value, low, high, n."""
    return run.metrics["parts"][part]["auc"]


def figure(
    study: str, words: str, value: float, step: str, target: str | None = None
) -> dict[str, Any]:
    """One figure of a study in `experiments/`, and the step of its `run.py` that writes it."""
    return {
        "figure": words, "value": round(value, 4), "unit": "1", "target": target, "peer": None,
        "command": f"python experiments/{study}/run.py {step}",
    }  # fmt: skip


def auc_figure(study: str, key: tuple[str, int, int], run: Run, step: str) -> dict[str, Any]:
    """The AUC of the held-out centre; name, cohort and network seed, and interval in the words."""
    value = auc(run)
    return figure(
        study,
        f"AUC, {key[0]}, cohort seed {key[1]}, network seed {key[2]}; 95% CI {value['low']:.3f} to "
        f"{value['high']:.3f}; held-out centre, {value['n']} scans",
        value["value"], step,
    )  # fmt: skip


def keep(path: Path, figures: list[dict[str, Any]], runs: Sequence[Run]) -> None:
    """Write the figures of a study with the environment of its runs, and all their commits."""
    commits = sorted({str(run.environment["commit"]) for run in runs})
    measured_with = runs[0].environment | {"commit": ", ".join(commits)}
    write_json(path, {"environment": measured_with, "figures": figures})
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} (target {figure['target']})")
    print(f"written: {path.relative_to(ROOT)}")
