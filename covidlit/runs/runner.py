"""Contract 5, the Runner: what every `conf/model/*.yaml` yields, deep or classical."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from covidlit.settings.words import Node

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule


@runtime_checkable
class Runner(Protocol):
    """Anything that can be trained on a datamodule and then score its scans."""

    name: str
    record: Node

    @property
    def selected_on(self) -> str | None:
        """What chose the weights or the parameters, in words; None where nothing did."""

    @property
    def cut_short(self) -> str:
        """What a debugging setting left of the training, as a sentence; empty: all of it."""

    def fit(self, datamodule: VolumeDataModule, run_dir: Path) -> None:
        """Train on the part `train`, select on `validation`, and leave the model in `run_dir`."""

    def predict(self, datamodule: VolumeDataModule, part: str) -> pd.DataFrame:
        """Score one part: columns `scan_id`, `score` and, with more classes, `score_<class>`."""

    def describe(self) -> dict[str, Any]:
        """Facts about the model for the report, such as its number of parameters."""

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How it was trained, for the report, from itself and the resolved configuration."""

    def keep_operating_point(self, threshold: float) -> None:
        """Write the operating point into the record of the model that `predict` uses."""

    def gallery(
        self, datamodule: VolumeDataModule, table: pd.DataFrame
    ) -> tuple[list[tuple[str, bytes]], str]:
        """Captions and PNG pictures of heatmaps of test scans, and a note on them; or nothing.

        Args:
            datamodule: set up.
            table: the evaluated predictions, with `target` and `threshold`.
        """
