"""What a report says beyond the predictions table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.evaluation.published_figures import PublishedFigures


@dataclass(frozen=True)
class ReportContext:
    """What the report says beyond the predictions table; every field may be left out.

    Attributes:
        title: heading of the page.
        run_id: name of the run; by default the table's.
        command: the command line that made the run.
        evaluated_by: the command line that made this report, where it is another one.
        config: resolved configuration as YAML text.
        config_hash: hash of the resolved configuration.
        split_hash: hash of the split.
        split_summary: one row per part: scans, patients, classes, centres.
        centres: the centres of the whole cohort, so that those without a score can be named.
        disjointness: sentences saying what was checked for leakage and the result.
        flow: inclusion flow (step, criterion, n_excluded, n_left).
        tables: further tables by title, such as Table 1 and Table 2.
        versions: package versions and hardware by name.
        seed: seed of the run; by default the table's.
        training_curve: one row per epoch: epoch, train_loss, val_auc, ...
        model: facts about the model by name, such as parameters.
        training: facts about the training by name, such as epochs, batch size, hardware.
        selected_on: what chose the checkpoint: "validation", "last epoch", "test", ...
        cut_short: sentence saying that a debugging setting cut the training short; empty where
            none did.
        synthetic: whether the images are synthetic; None leaves it to the table.
        notes: remarks of the user.
        thresholds: what a classifier by thresholds has learnt, see `learnt_thresholds`.
        published: figures of a paper that stand beside the run's own.
        gallery: captions with PNG pictures of heatmaps, and `gallery_note`, what they show.
        unit: what a row is, such as "patient".
        importance: of features by shuffling them, by their description; with `importance_note`, a
            sentence, and `importance_picture`, a PNG.
    """

    title: str = "Evaluation report"
    run_id: str | None = None
    command: str | None = None
    evaluated_by: str | None = None
    config: str | None = None
    config_hash: str | None = None
    split_hash: str | None = None
    split_summary: pd.DataFrame | None = None
    centres: Sequence[str] = ()
    disjointness: Sequence[str] = ()
    flow: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    training_curve: pd.DataFrame | None = None
    model: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    selected_on: str | None = None
    cut_short: str = ""
    synthetic: bool | None = None
    notes: Sequence[str] = ()
    thresholds: pd.DataFrame | None = None
    published: PublishedFigures | None = None
    gallery: Sequence[tuple[str, bytes]] = ()
    gallery_note: str = ""
    unit: str = "scan"
    importance: pd.DataFrame | None = None
    importance_note: str = ""
    importance_picture: bytes = b""
