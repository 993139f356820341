"""From the scores of a run to its predictions table and its report."""

from __future__ import annotations

import logging
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule
    from covidlit.runner import Runner

log = logging.getLogger(__name__)

PACKAGES = ("covidlit", "torch", "pytorch-lightning", "torchio", "monai", "pydicom", "scikit-learn")
NOT_IN_PREDICTIONS = ("path", "study_uid", "series_uid", "acquisition_date")


def assemble_predictions(
    table: pd.DataFrame,
    scores: dict[str, pd.DataFrame],
    *,
    run_id: str,
    model: str,
    seed: int,
    fold: int | None,
) -> pd.DataFrame:
    """The predictions table (contract 6) of one run.

    Args:
        table: the datamodule's rows, with `part`, `status`, `reason`, `target`.
        scores: for each part, what the runner's `predict` returned.

    Returns:
        One row per scan of these parts; refused scans keep theirs, with a null score.
    """
    import pandas as pd

    rows = table[table["part"].isin(list(scores))]
    rows = rows.drop(columns=[name for name in NOT_IN_PREDICTIONS if name in rows])
    joined = rows.merge(
        pd.concat(scores.values(), ignore_index=True), on="scan_id", how="left", validate="1:1"
    )
    facts = {"run_id": run_id, "model": model, "seed": seed, "fold": fold}
    for position, (name, value) in enumerate(facts.items()):
        joined.insert(position, name, value)
    return joined


def report(
    predictions: pd.DataFrame,
    run_dir: Path,
    *,
    config: dict[str, Any],
    datamodule: VolumeDataModule,
    runner: Runner,
) -> float | None:
    """Write `report.html` and `metrics.json`, say where, and return the validation AUC."""
    from covidlit.evaluation import evaluate, write_report

    settings = config["evaluation"]
    evaluation = evaluate(predictions, seed=config["seed"], **settings)
    context = _context(run_dir, config, datamodule, runner)
    path = write_report(predictions, run_dir, context=context, evaluation=evaluation)
    log.info("Report: %s", path.resolve())
    return evaluation.auc("validation")


def _context(
    run_dir: Path, config: dict[str, Any], datamodule: VolumeDataModule, runner: Runner
) -> Any:
    import yaml

    from covidlit.cohort.describe import table1, table2
    from covidlit.evaluation import ReportContext

    included = datamodule.table
    return ReportContext(
        title=config["name"],
        run_id=run_dir.name,
        command=shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        config=yaml.safe_dump(config, sort_keys=False),
        split_hash=datamodule.split.hash,
        tables={
            "Table 1. The cohort by centre": table1(included),
            "Table 2. Classes and aetiology by part": table2(included, datamodule.split),
        },
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        training_curve=_training_curve(run_dir),
        model=runner.describe(),
    )


def _training_curve(run_dir: Path) -> pd.DataFrame | None:
    """The logged metrics, one row per epoch, or None where nothing was logged."""
    import pandas as pd

    path = run_dir / "logs" / "metrics.csv"
    if not path.is_file():
        return None
    logged = pd.read_csv(path)
    return logged.groupby("epoch", as_index=False).last().drop(columns="step", errors="ignore")
