"""One self-contained `sweep.html` from a study and its folder."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import optuna

from covidlit.evaluation.report import page_template
from covidlit.files import write_text
from covidlit.sweep import page_figures as figures
from covidlit.sweep.page_cautions import sweep_cautions
from covidlit.sweep.summary import (
    OUTCOMES,
    Summary,
    epochs_of,
    folds_of,
    metric_of,
    outcome,
    short_names,
    shown,
    summarise,
    value_of,
)
from covidlit.sweep.validation_noise import validation_noise

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

PAGE = "sweep.html"
MIN_FOR_IMPORTANCES = 10
"""Fewer finished trials than this say nothing about importances (our limit)."""


def write_page(study: Study, folder: str | Path) -> Path:
    """Write `sweep.html` into the sweep's folder, atomically; returns its path.

    Args:
        study: with the attributes that the sweeper writes; it is only read.
        folder: the sweep's, in which the trials' folders lie.

    Raises:
        CovidlitError: the folder cannot be written.
    """
    return write_text(Path(folder) / PAGE, render_page(study, Path(folder)))


def render_page(study: Study, folder: Path) -> str:
    """The page as HTML text; everything it needs is inside, the trials' folders are linked."""
    summary = summarise(study)
    noise = None if summary.best is None else validation_noise(summary.best, folder)
    synthetic = bool(noise and noise.synthetic)
    metric, folds = metric_of(study), folds_of(study)
    step = "epoch" if folds is None else "fold"
    importances, no_importances = parameter_importances(study, summary)
    drawn = {
        "history": figures.history_figure(summary, metric, synthetic),
        "parallel": figures.parallel_figure(summary, metric, synthetic),
        "curves": figures.curves_figure(summary, metric, step, synthetic),
        "importances": figures.importance_figure(importances, synthetic) if importances else None,
    }
    short = short_names(summary.parameters())
    return page_template("sweep.html.j2", "covidlit.sweep").render(
        title=f"Sweep {study.study_name}",
        study=study,
        summary=summary,
        counts={OUTCOMES[key]: n for key, n in summary.counts.items() if n},
        metric=metric,
        folds=folds,
        step=step,
        best=None if summary.best is None else TrialRow.of(summary.best, summary),
        rows=[TrialRow.of(trial, summary) for trial in _table_order(summary)],
        failed=[trial for trial in summary.trials if outcome(trial) in ("failed", "stopped")],
        short=short,
        ambiguous=[name for name in short if short[name] != name],
        cautions=sweep_cautions(summary, noise, folds),
        epochs=sum(epochs_of(trial) or 0 for trial in summary.trials),
        fixed=shlex.join(map(str, study.user_attrs.get("fixed", []))),
        version=study.user_attrs.get("covidlit"),
        figures=drawn,
        no_importances=no_importances,
        synthetic=synthetic,
    )


@dataclass(frozen=True)
class TrialRow:
    """A trial as the page's table shows it; texts, "–" where something is not known."""

    number: int
    link: str | None
    outcome: str
    value: str
    epochs: str
    minutes: str
    params: dict[str, str]
    overrides: str

    @staticmethod
    def of(trial: FrozenTrial, summary: Summary) -> TrialRow:
        """The row of a trial of the summary."""
        how, epochs = outcome(trial), epochs_of(trial)
        folder, seconds = trial.user_attrs.get("folder"), trial.user_attrs.get("seconds")
        return TrialRow(
            number=trial.number,
            link=None if folder is None else quote(f"{folder}/"),
            outcome="best" if trial is summary.best else how,
            value=f"{value_of(trial):.4f}" if how == "finished" else "–",
            epochs="–" if epochs is None else str(epochs),
            minutes="–" if seconds is None else f"{seconds / 60:.1f}",
            params={name: shown(value) for name, value in trial.params.items()},
            overrides=shlex.join(map(str, trial.user_attrs.get("overrides", []))),
        )


def _table_order(summary: Summary) -> list[FrozenTrial]:
    """The finished ones, the best first; then the others by number."""
    return summary.ranked() + [t for t in summary.trials if outcome(t) != "finished"]


def parameter_importances(study: Study, summary: Summary) -> tuple[dict[str, float], str | None]:
    """Optuna's importances of the parameters, or a sentence that says why there are none.

    Returns:
        Shares by parameter that sum to 1, the largest first, and None; or nothing and the reason.

    Source: Optuna's default evaluator, PED-ANOVA (Watanabe, Bansal and Hutter 2023).
    """
    n = len(summary.finished)
    if n < MIN_FOR_IMPORTANCES:
        return {}, f"too few trials: {n} of the needed {MIN_FOR_IMPORTANCES} have finished."
    if len({value_of(trial) for trial in summary.finished}) == 1:
        return {}, "all finished trials have the same value."
    varied = [name for name in summary.parameters() if _varies(name, summary)]
    if len(varied) < 2:
        return {}, "fewer than two parameters were varied."
    return _evaluated(study, varied)


def _evaluated(study: Study, varied: list[str]) -> tuple[dict[str, float], str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            found: dict[str, Any] = optuna.importance.get_param_importances(study, params=varied)
        except (ValueError, RuntimeError) as error:
            return {}, f"Optuna could not compute them: {error}"
    if not sum(found.values()) > 0:
        return {}, "Optuna finds no parameter that tells the good trials from the others."
    return {name: float(share) for name, share in found.items()}, None


def _varies(name: str, summary: Summary) -> bool:
    return len({str(t.params[name]) for t in summary.finished if name in t.params}) > 1
