"""Which numbers the models of a run of tables look at, for its report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from covidlit.datamodules.tables import TableDataModule
from covidlit.deploy.tables.model import load_table_model
from covidlit.errors import CheckpointError
from covidlit.evaluation import ReportContext
from covidlit.evaluation.importance import PICTURE, TABLE, shown_importance
from covidlit.explain.tables.figure import importance_figure
from covidlit.explain.tables.importance import Importance, importance_of
from covidlit.files import atomic_path
from covidlit.runs.outcomes.outcome import Training
from covidlit.tables import write_table

log = logging.getLogger(__name__)

REPEATS = 5


def with_importance(
    context: ReportContext,
    config: Mapping[str, Any],
    trainings: Sequence[Training],
    run_dir: Path,
) -> ReportContext:
    """The context with the importance of features; leaves `importance.csv` and `importance.png`.

    Nothing is added for other data than tables, more than two classes, with `importance=0` and
    where a debugging setting cut the training short.
    """
    found = _importance(config, trainings, run_dir)
    if found is None:
        return context
    write_table(found.table, run_dir / TABLE)
    picture = importance_figure(found)
    with atomic_path(run_dir / PICTURE) as temporary:
        temporary.write_bytes(picture)
    if found.sentence:
        log.info("%s", found.sentence)
    shown = shown_importance(found.table, picture)
    return replace(
        context, importance=shown.table, importance_note=shown.note,
        importance_picture=shown.picture,
    )  # fmt: skip


def _importance(
    config: Mapping[str, Any], trainings: Sequence[Training], run_dir: Path
) -> Importance | None:
    data = [training.data for training in trainings]
    repeats = int(config.get("importance", REPEATS))
    debugging = (config.get("trainer") or {}).get("fast_dev_run")
    tables = all(isinstance(own, TableDataModule) and own.n_classes == 2 for own in data)
    if not tables or repeats < 1 or debugging:
        return None
    folders = [run_dir] if len(data) == 1 else [run_dir / each.folder for each in trainings]
    try:
        models = [load_table_model(each) for each in folders]
    except CheckpointError as error:
        log.warning("The importance of features is not known: %s", error)
        return None
    evaluation = config["evaluation"]
    return importance_of(
        models, data, n_repeats=repeats, seed=int(config["seed"]),
        confidence=float(evaluation.get("confidence", 0.95)),
        n_bootstrap=int(evaluation.get("n_bootstrap", 1000)),
    )  # fmt: skip
