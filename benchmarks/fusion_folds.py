"""Tenfold training of the fusion network: all folds as one, beside a `Trainer.fit` for each.

python benchmarks/fusion_folds.py [--patients 375] [--folds 10]

On the laboratory values of a synthetic cohort. Both train the same tasks on the same rows for the
same epochs; their scores of the test parts are compared.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from record import write_results
from sklearn.metrics import roc_auc_score

from covidlit.cohort import ByColumn
from covidlit.cohort.clinical import read_clinical, write_clinical
from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.datamodules.tables.clinical_source import clinical_file
from covidlit.tasks import SeverityPrediction
from covidlit.tasks.together import fit_together

EPOCHS = 75
PEER = "Trainer.fit for each fold"
SEVERE = {
    "column": "severity",
    "positive": ["severe", "critical"],
    "negative": ["mild", "moderate"],
}
TASK: dict[str, Any] = {
    "net": {"_target_": "covidlit.models.FusionANN"},
    "scheduler": {"_target_": "torch.optim.lr_scheduler.OneCycleLR"},
}


def main() -> None:
    """Train both ways, compare, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=375)
    parser.add_argument("--folds", type=int, default=10)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        data = folds_of(Path(folder), given.patients, given.folds)
        one, one_wall, one_cpu = timed(partial(together, data))
        other, other_wall, other_cpu = timed(partial(one_by_one, data))
    apart = float(np.abs(scores(one, data) - scores(other, data)).max())
    what = f"{given.folds} folds of {given.patients} patients"
    figures = [
        figure(f"{what}, all as one: wall clock", one_wall, "s", "<= 60"),
        figure(f"{what}, all as one: processor time", one_cpu, "s"),
        figure(f"{what}: wall clock", other_wall / one_wall, "times as fast", ">= 3", PEER),
        figure(f"{what}: processor time", other_cpu / one_cpu, "times less", None, PEER),
        figure("largest difference of a test score", apart, "1", "<= 0.001", PEER),
        figure("AUC of all test parts", auc_of(one, data), "1"),
        figure("AUC of all test parts, one by one", auc_of(other, data), "1", None, PEER),
    ]
    for each in figures:
        print(each["figure"], each["value"], each["unit"], each["target"] or "")
    write_results("fusion_folds", figures)


def figure(
    what: str, value: float, unit: str, target: str | None = None, peer: str | None = None
) -> dict[str, Any]:
    """As `record.write_results` takes it."""
    return {
        "figure": what, "value": round(value, 6), "unit": unit, "target": target, "peer": peer,
        "command": "python benchmarks/fusion_folds.py",
    }  # fmt: skip


def folds_of(folder: Path, n_patients: int, n_folds: int) -> list[ClinicalDataModule]:
    """The data of each fold."""
    whole = read_clinical(clinical_file(folder=str(folder), n_scans=3 * n_patients, seed=1))
    chosen = whole["patient_id"].drop_duplicates()[:n_patients]
    assert len(chosen) == n_patients
    path = write_clinical(whole[whole["patient_id"].isin(chosen)], folder / "clinical.csv")
    split = partial(patient_k_fold, n_folds=n_folds, seed=0, validation_fraction=0.0)
    first = ClinicalDataModule(path, partial(split, fold=0), label_rule=ByColumn(**SEVERE))
    data = [first, *(first.with_split(partial(split, fold=k)) for k in range(1, n_folds))]
    for each in data:
        each.setup()
    return data


def timed(train: Any) -> tuple[list[SeverityPrediction], float, float]:
    """What was trained, seconds on the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    tasks = train()
    return tasks, time.perf_counter() - wall, time.process_time() - cpu


def task_of(data: ClinicalDataModule) -> SeverityPrediction:
    """An untrained task, fitted to the training rows."""
    return SeverityPrediction(**SeverityPrediction.fitted_to(TASK, data))  # type: ignore[arg-type]


def together(data: list[ClinicalDataModule]) -> list[SeverityPrediction]:
    """All folds as one."""
    tasks = [task_of(each) for each in data]
    fit_together(tasks, data, EPOCHS)
    return tasks


def one_by_one(data: list[ClinicalDataModule]) -> list[SeverityPrediction]:
    """A Trainer for each fold, with nothing that it need not do."""
    tasks = [task_of(each) for each in data]
    for task, own in zip(tasks, data, strict=True):
        trainer = pl.Trainer(
            max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
            use_distributed_sampler=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(task, datamodule=own)
    return tasks


def scores(tasks: list[SeverityPrediction], data: list[ClinicalDataModule]) -> np.ndarray:
    """Of the test parts, one after the other."""
    found = []
    for task, own in zip(tasks, data, strict=True):
        numbers = torch.from_numpy(own.features_of("test").to_numpy(dtype=np.float32))
        with torch.no_grad():
            found.append(task.eval().scores(task(numbers)).numpy())
    return np.concatenate(found)


def auc_of(tasks: list[SeverityPrediction], data: list[ClinicalDataModule]) -> float:
    """The AUC of all test parts together."""
    target = np.concatenate([own.rows_of("test")["target"].to_numpy(dtype=int) for own in data])
    return float(roc_auc_score(target, scores(tasks, data)))


if __name__ == "__main__":
    main()
