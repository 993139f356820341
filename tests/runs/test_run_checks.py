"""What would spoil a run is said before its training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.errors import ConfigError, ManifestError, PredictionsError
from covidlit.runs.steps import train_and_evaluate
from covidlit.settings.tree import config_dir

Start = Callable[..., None]


class TrainedError(Exception):
    """Stands for days of training."""


@pytest.fixture
def start(tiny_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a run that ends where its training would begin."""

    def fit(*_: object, **__: object) -> None:
        raise TrainedError

    def run(*overrides: str) -> None:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*tiny_overrides, "name=test", *overrides])
        train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)

    monkeypatch.setattr(pl.Trainer, "fit", fit)
    return run


@pytest.fixture
def manifest(tiny_data: Path, tmp_path: Path) -> Callable[[pd.DataFrame], list[str]]:
    """Overrides that train on a changed manifest, whose column `split` is the split."""

    def write(table: pd.DataFrame) -> list[str]:
        folder = Path((tiny_data / "manifest_path").read_text()).parent
        path = tmp_path / "manifest.csv"
        table.assign(path=[str(folder / name) for name in table["path"]]).to_csv(path, index=False)
        return [f"data.source.path={path}", "split=column"]

    return write


@pytest.fixture
def table(tiny_data: Path) -> pd.DataFrame:
    """The tiny manifest with a split: centre_4 is the test part, two covid, two np validate."""
    table = pd.read_csv((tiny_data / "manifest_path").read_text(), dtype={"patient_id": str})
    table["split"] = table["centre"].map({"centre_4": "test"}).fillna("train")
    for name in ("covid", "np"):
        rows = table.index[(table["class_name"] == name) & (table["split"] == "train")][:2]
        table.loc[rows, "split"] = "validation"
    return table


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.operating_point=yuden", "evaluation.operating_point: .*did you mean youden"),
        (
            "'evaluation.operating_point=\"sensitivity>=1.5\"'",
            "evaluation.operating_point: unknown",
        ),
        ("evaluation.operating_point=1.5", "evaluation.operating_point: .* not 1.5"),
        ("evaluation.subgroups=[nope]", "evaluation.subgroups: .*'nope'.* choose from .*sex"),
        ("evaluation.subgroups=[sexx]", "evaluation.subgroups: .* did you mean sex"),
        ("evaluation.subgroups=sex", r"evaluation.subgroups: must be a list.* write \[sex\]"),
        ("evaluation.confidence=95", "evaluation.confidence: .* not 95.* did you mean 0.95"),
        ("evaluation.confidence=high", "evaluation.confidence: .* not 'high'"),
        ("evaluation.n_bootstrap=10", "evaluation.n_bootstrap: .* not 10"),
        ("+evaluation.confidance=0.9", "evaluation.confidance: .* did you mean confidence"),
        ("+data.batchsize=4", "data.batchsize: .* did you mean batch_size"),
        ("data.batch_size=abc", "batch_size: .* not 'abc'"),
        ("data.min_slices=abc", "data.min_slices: .* not 'abc'"),
        ("split.validation_fraction=abc", "split: TypeError"),
        ("seed=abc", "seed: .* not 'abc'"),
        ("trainer.max_epochs=abc", "trainer.max_epochs: .* not 'abc'"),
    ],
)
def test_a_wrong_setting_is_said(override: str, message: str, start: Start) -> None:
    with pytest.raises(ConfigError, match=message):
        start(override.strip("'"))


@pytest.mark.parametrize(
    "overrides",
    [
        ["evaluation.operating_point=youden", "evaluation.subgroups=[sex,centre]"],
        ["evaluation.operating_point=youden", "label_rule=multi_class"],
        ["evaluation.operating_point=0.4", "split.validation_fraction=0", "callbacks=last_epoch"],
        ["split.validation_fraction=0", "callbacks=last_epoch"],
    ],
)
def test_right_settings_pass(overrides: list[str], start: Start) -> None:
    with pytest.raises(TrainedError):
        start(*overrides)


def test_a_rule_needs_both_classes_to_choose_on(
    table: pd.DataFrame, manifest: Callable[[pd.DataFrame], list[str]], start: Start
) -> None:
    rule = "evaluation.operating_point=youden"
    with pytest.raises(TrainedError):
        start(*manifest(table), rule)
    positive = (table["split"] == "validation") & (table["class_name"] == "covid")
    refused = table.assign(status="ok", reason=None)
    refused.loc[positive, ["status", "reason"]] = ["refused", "gantry tilt"]
    for changed in (refused, table.assign(split=table["split"].mask(positive, "train"))):
        overrides = manifest(changed)
        with pytest.raises(ConfigError, match=r"evaluation.operating_point: .* all of one class"):
            start(*overrides, rule, "callbacks=last_epoch")
        with pytest.raises(TrainedError):
            start(*overrides, "evaluation.operating_point=auto", "callbacks=last_epoch")


@pytest.mark.parametrize(
    ("classes", "overrides", "absent"),
    [
        (["np"], [], "1"),
        (["covid"], [], "0"),
        (["np", "covid"], ["label_rule=multi_class"], "1"),
        (["cap"], ["label_rule=multi_class"], "0 or 2"),
    ],
)
def test_the_best_epoch_is_chosen_on_scans_of_every_class(
    classes: list[str], overrides: list[str], absent: str, table: pd.DataFrame,
    manifest: Callable[[pd.DataFrame], list[str]], start: Start,
) -> None:  # fmt: skip
    table["split"] = table["split"].replace("validation", "train")
    for name in ("np", "cap", "covid"):
        rows = table.index[(table["class_name"] == name) & (table["split"] == "train")][:2]
        table.loc[rows, "split"] = "validation"
    given = [*manifest(table), *overrides]
    with pytest.raises(TrainedError):
        start(*given)
    table = table.assign(status="ok", reason=None)
    lost = (table["split"] == "validation") & ~table["class_name"].isin(classes)
    table.loc[lost, ["status", "reason"]] = ["refused", "gantry tilt"]
    manifest(table)
    message = rf"callbacks\.best: val_auroc is undefined .* target {absent}\. .*=last_epoch"
    with pytest.raises(ConfigError, match=message):
        start(*given)
    with pytest.raises(TrainedError):
        start(*given, "callbacks=last_epoch")


@pytest.mark.parametrize("name", ["run_id", "model", "seed", "fold", "score", "score_ct"])
def test_a_column_of_the_predictions_is_refused_before_any_scan_is_read(
    name: str, table: pd.DataFrame, manifest: Callable[[pd.DataFrame], list[str]], start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given = [*manifest(table.assign(**{f"own_{name}": 12})), f"evaluation.subgroups=[own_{name}]"]
    with pytest.raises(TrainedError):
        start(*given)
    given = manifest(table.assign(**{name: 12}))
    monkeypatch.delattr("covidlit.datamodules.volume_datamodule.prepare_cohort")
    with pytest.raises(ManifestError, match=rf"manifest.csv: .* {name} .* such as own_{name}\."):
        start(*given)


PLATEAU = "model.task.scheduler={_target_: torch.optim.lr_scheduler.ReduceLROnPlateau}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["split.validation_fraction=0"], "the split has no validation part.*scheduler=null"),
        (["trainer.limit_val_batches=0"], "val_auroc, which is never measured.*scheduler=null"),
    ],
)
def test_a_scheduler_that_follows_the_validation_needs_one(
    overrides: list[str], message: str, start: Start
) -> None:
    given = ["callbacks=last_epoch", PLATEAU]
    with pytest.raises(TrainedError):
        start(*given)
    with pytest.raises(ConfigError, match=f"model.task.scheduler: .*{message}"):
        start(*given, *overrides)


def test_a_test_part_that_was_refused_is_said(
    table: pd.DataFrame, manifest: Callable[[pd.DataFrame], list[str]], start: Start
) -> None:
    table = table.assign(status="ok", reason=None)
    table.loc[table["split"] == "test", ["status", "reason"]] = ["refused", "gantry tilt"]
    with pytest.raises(PredictionsError, match=r"test scans were refused: gantry tilt"):
        start(*manifest(table))


def test_a_logger_that_is_not_installed_is_said_before_any_scan_is_read(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("Neither `no_such_board` nor `another` is available.")

    monkeypatch.setattr(pl.loggers.TensorBoardLogger, "__init__", missing)
    monkeypatch.setattr(
        "covidlit.settings.third_party._EXTRAS", {"tensorboard": ("no_such_board",)}
    )
    monkeypatch.delattr("covidlit.datamodules.volume_datamodule.prepare_cohort")
    with pytest.raises(ConfigError, match=r"TensorBoardLogger: .*'covidlit\[tensorboard\]'"):
        start("logger=tensorboard")
