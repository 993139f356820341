"""Another kind of data, of task and of outcome: patients in a table, a number to be predicted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pytorch_lightning as pl
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from torch.utils.data import DataLoader

from covidlit.cohort.split import Split
from covidlit.datamodules.cohort_data import RunSettings, SplitOf
from covidlit.errors import ConfigError, TrainingError
from covidlit.files import write_json
from covidlit.runs.outcomes.outcome import Tables, Training
from covidlit.runs.runner import Runner
from covidlit.settings.keys import check_keys
from covidlit.tables import read_table, write_table
from covidlit.tasks.base import BaseTask, Batch


class PatientTable(pl.LightningDataModule):
    """One row per patient: numbers, and the number `target`."""

    unit = "patient"

    def __init__(self, path: str, columns: Sequence[str], split: Split | SplitOf) -> None:
        super().__init__()
        self.path, self.columns, self._split_source = Path(path), list(columns), split
        self._split: Split | None = None
        self.manifest = read_table(self.path)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        check_keys("data", settings, ("path", "columns"))
        return cls(settings["path"], settings["columns"], run.split)

    def with_split(self, split: Split | SplitOf) -> Self:
        other = copy.copy(self)
        other._split_source, other._split, other.trainer = split, None, None
        return other

    @property
    def split(self) -> Split:
        if self._split is None:
            source = self._split_source
            self._split = source if isinstance(source, Split) else source(self.manifest)
        return self._split

    @property
    def table(self) -> pd.DataFrame:
        part = self.manifest["patient_id"].map(dict(self.split.parts))
        return self.manifest.assign(part=part.astype("string"), status="ok", reason=None)

    def setup(self, stage: str | None = None) -> None:
        """Nothing: the table is read already."""

    def check_columns(self) -> None:
        for name in self.columns:
            if name not in self.manifest:
                raise ConfigError(f"there is no column {name!r}.", where="data.columns")

    def check_learnable(self) -> None:
        if self.rows_of("train").empty:
            raise ConfigError("there is nobody to learn from.", where="split")

    def rows_of(self, part: str) -> pd.DataFrame:
        table = self.table
        return table[table["part"] == part]

    def features_of(self, part: str, groups: Sequence[str] | None = None) -> pd.DataFrame:
        return self.rows_of(part)[list(self.feature_table(groups)["name"])]

    def feature_table(self, groups: Sequence[str] | None = None) -> pd.DataFrame:
        rows = [(name, "table", name, "", "") for name in self.columns]
        columns = ["name", "group", "description", "unit", "source"]
        return pd.DataFrame(rows, columns=columns)

    def dataloader_of(self, part: str) -> DataLoader[Any]:
        rows = self.rows_of(part)
        x = torch.tensor(rows[self.columns].to_numpy(), dtype=torch.float32)
        y = torch.tensor(rows["target"].to_numpy(), dtype=torch.float32)
        examples = [
            {"x": row, "target": target, "patient_id": name}
            for row, target, name in zip(x, y, rows["patient_id"], strict=True)
        ]
        return DataLoader(examples, batch_size=16)  # type: ignore[arg-type]

    def train_dataloader(self) -> DataLoader[Any]:
        self.check_learnable()
        return self.dataloader_of("train")

    def val_dataloader(self) -> DataLoader[Any]:
        return self.dataloader_of("validation")

    def input_record(self) -> dict[str, Any]:
        return {"kind": "table", "columns": self.columns}

    def facts(self) -> dict[str, str]:
        return {"source": str(self.path), "input": ", ".join(self.columns)}


class PatientRegression(BaseTask):
    """A line through the numbers of a patient."""

    monitor = "val_loss"
    mode = "min"
    outcome = "patient_table.Regression"

    def __init__(
        self,
        n_columns: int = 2,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()

    def configure_models(self) -> None:
        self.net = nn.Linear(self.hparams["n_columns"], 1)

    def configure_losses(self) -> None:
        self.loss = nn.MSELoss()

    def configure_metrics(self) -> None:
        """None beside the loss."""

    def shared_step(self, batch: Batch, stage: str) -> Tensor:
        loss: Tensor = self.loss(self.net(batch["x"])[:, 0], batch["target"])
        self.log(f"{stage}_loss", loss, on_epoch=True, on_step=False, batch_size=len(batch["x"]))
        return loss

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        return {"patient_id": batch["patient_id"], "predicted": self.net(batch["x"])[:, 0]}

    def table_of(self, batches: Sequence[Batch], classes: Sequence[str] = ()) -> pd.DataFrame:
        rows = [
            (name, float(value))
            for batch in batches
            for name, value in zip(batch["patient_id"], batch["predicted"], strict=True)
        ]
        return pd.DataFrame(rows, columns=["patient_id", "predicted"])


class RidgeRunner:
    """Ridge regression of scikit-learn."""

    outcome = "patient_table.Regression"
    selected_on = None
    cut_short = ""

    def __init__(self, name: str, alpha: float = 1.0, **unused: Any) -> None:
        self.name, self.record = name, dict[str, Any]()
        self._model, self._path = Ridge(alpha=alpha), Path()

    def check(self, data: Any) -> None:
        data.feature_table()

    def settle(self, config: dict[str, Any], data: Any) -> dict[str, Any]:
        return config

    def fit(self, data: Any, run_dir: Path) -> None:
        data.check_learnable()
        self._model.fit(data.features_of("train"), data.rows_of("train")["target"])
        self._path = run_dir / "checkpoints" / "ridge.json"
        self.keep()

    def predict(self, data: Any, part: str) -> pd.DataFrame:
        rows, features = data.rows_of(part), data.features_of(part)
        predicted = self._model.predict(features) if len(rows) else []
        return pd.DataFrame({"patient_id": rows["patient_id"].to_numpy(), "predicted": predicted})

    def describe(self) -> dict[str, Any]:
        return {"model": self.name}

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"penalty": self._model.alpha}

    def keep(self, **fields: Any) -> None:
        self.record |= fields
        write_json(self._path, {**self.record, "weights": self._model.coef_.tolist()})


class Regression:
    """A number for each row, judged by the mean absolute error."""

    metric = "mean absolute error"
    mode = "min"

    def check_settings(self, config: Mapping[str, Any]) -> None:
        check_keys("evaluation", config["evaluation"], ("unit",))

    def check(self, config: Mapping[str, Any], data: Any) -> None:
        if data.rows_of("test").empty:
            raise ConfigError("nobody is tested.", where="split")

    def check_selection(self, data: Any, metric: str, where: str, instead: str) -> None:
        if data.rows_of("validation").empty:
            raise ConfigError(f"{metric} is undefined.", where=where, fix=f"give {instead}.")

    def tables(self, runner: Runner, data: Any, parts: Sequence[str], **run: Any) -> Tables:
        rows = data.table[data.table["part"].isin(parts)].drop(columns=["status", "reason"])
        predicted = pd.concat([runner.predict(data, part) for part in parts])
        return {"numbers": rows.merge(predicted, on="patient_id", validate="1:1").assign(**run)}

    def write(self, tables: Tables, run_dir: Path) -> None:
        write_table(tables["numbers"], run_dir / "numbers.parquet")

    def read(self, run_dir: Path) -> Tables:
        return {"numbers": read_table(run_dir / "numbers.parquet")}

    def keep(self, tables: Tables, runner: Runner, config: Mapping[str, Any]) -> None:
        runner.keep()

    def value(self, tables: Tables) -> float:
        table = tables["numbers"]
        table = table[table["part"] == "validation"]
        if table.empty:
            raise TrainingError("the error on the validation part is undefined: nobody is in it.")
        return float((table["target"] - table["predicted"]).abs().mean())

    def report(
        self, tables: Tables, run_dir: Path, *, config: dict[str, Any],
        trainings: Sequence[Training],
    ) -> None:  # fmt: skip
        table = tables["numbers"][tables["numbers"]["part"] == "test"]
        error = float((table["target"] - table["predicted"]).abs().mean())
        write_json(run_dir / "metrics.json", {"mae": error, "folds": len(trainings)})
