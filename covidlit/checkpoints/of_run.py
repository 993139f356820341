"""The model that a run was judged by, found in its folder."""

from __future__ import annotations

from pathlib import Path

from covidlit.checkpoints.kept_survival import FILES
from covidlit.errors import CheckpointError
from covidlit.settings.run_config import read_run_config
from covidlit.settings.words import CONFIG

CLASSICAL = "model.skops"
"""What a run of a classical baseline keeps, in `checkpoints/`."""

_EXPORTED = ("model.xml", "model.onnx", "dense.xml")
"""What tells the folder of `covidlit export`, beside its `model.json`."""


def model_of_run(run_dir: str | Path) -> Path:
    """The checkpoint `best.ckpt`, or `last.ckpt` where none was selected; or `model.skops`.

    Of a run of times to an event: `cox.json` or `boosted_hazards.json`.

    Raises:
        CheckpointError: the folder holds no model, or those of the folds of a cross-validation; or
            it is of an export, whose `model.json` is missing.
    """
    folder, names = Path(run_dir) / "checkpoints", ["best.ckpt", "last.ckpt", CLASSICAL, *FILES]
    if (Path(run_dir) / CONFIG).is_file() and folder.is_dir():
        weights = read_run_config(run_dir)["model"].get("weights")
        names = names[1:] if weights == "last" else names
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if folds := sorted(path.name for path in Path(run_dir).glob("fold_*") if path.is_dir()):
        raise CheckpointError(
            f"this is the folder of a cross-validation, whose models are those of {len(folds)} "
            "folds.",
            where=run_dir,
            fix=f"give the folder of one of them, such as {Path(run_dir) / folds[0]}; `covidlit "
            "predict --all-folds` scores tables by all of them.",
        )
    if exported := [name for name in _EXPORTED if (Path(run_dir) / name).is_file()]:
        raise CheckpointError(
            f"this is the folder of an export ({exported[0]}) whose model.json is missing: it says "
            "what the network is and how scans are prepared.",
            where=run_dir,
            fix="copy the whole folder again, or export the network again: covidlit export "
            "CHECKPOINT --scans SCANS",
        )
    raise CheckpointError(
        "this is not the folder of a training run: it holds no checkpoint.",
        where=run_dir,
        fix="give a folder that `covidlit train` wrote, or a checkpoint and a path.",
    )
