"""Hyper-parameter search by nested cross-validation, inside the training part alone.

The inner folds choose the parameters; the outer ones hold scans back from that choice, and say what
a classifier chosen in this way is worth (Cawley and Talbot, JMLR 2010;11:2079).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from covidlit.baselines.folds import Folds, patient_folds
from covidlit.errors import ConfigError, did_you_mean
from covidlit.progress import progress_bar
from covidlit.settings.keys import check_keys

Advance = Callable[[], None]
Scorer = Callable[[Pipeline, NDArray[np.float64], NDArray[np.integer]], float]


@dataclass(frozen=True)
class TrainingScans:
    """What a classifier is fitted on.

    Args:
        x: (n, features).
        target: (n,) class of each scan.
        patients: (n,) whose scan it is.
        weights: (n,) weight of each scan, or None.
        told: the classifier is told whose scan it is.
    """

    x: NDArray[np.float64]
    target: NDArray[np.integer]
    patients: NDArray[np.generic]
    weights: NDArray[np.float64] | None = None
    told: bool = False

    def rows(self, index: NDArray[np.intp]) -> TrainingScans:
        """Some of the scans."""
        weights = None if self.weights is None else self.weights[index]
        return replace(
            self, x=self.x[index], target=self.target[index], patients=self.patients[index],
            weights=weights,
        )  # fmt: skip

    def fit_arguments(self) -> dict[str, Any]:
        """What `fit` of a pipeline takes besides features and targets."""
        given = {"classifier__patients": self.patients} if self.told else {}
        if self.weights is not None:
            given["classifier__sample_weight"] = self.weights
        return given


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Args:
        scoring: the name of the score in scikit-learn.
        chosen: parameters of the classifier.
        candidates: of each candidate `parameters`, and `mean` and `sd` of its scores in the folds
            of the training part. The best of them is optimistic.
        outer: of each outer fold the `parameters` chosen without its scans, and the `score` of
            these.
    """

    scoring: str
    chosen: dict[str, Any]
    candidates: list[dict[str, Any]]
    outer: list[dict[str, Any]]

    @property
    def estimate(self) -> float | None:
        """Mean score of the outer folds; None without any."""
        return float(np.mean([fold["score"] for fold in self.outer])) if self.outer else None

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {**vars(self), "estimate": self.estimate}

    def sentence(self) -> str:
        """For the report: what was chosen, of how many, and what that is worth."""
        chosen = ", ".join(f"{name} {value}" for name, value in self.chosen.items())
        text = f"{chosen}, of {len(self.candidates)} candidates by {self.scoring}"
        if self.estimate is None:
            return text
        return f"{text}; nested cross-validation of the training part: {self.estimate:.3f}"


def nested_search(
    pipeline: Pipeline,
    scans: TrainingScans,
    settings: Mapping[str, Any],
    *,
    seed: int,
    progress: bool = True,
) -> SearchResult:
    """Choose the classifier's parameters from a grid.

    Args:
        pipeline: its last step, `classifier`, gets the parameters.
        scans: the training part.
        settings: `grid`, a list of values by parameter; `folds` of the choice (default 3);
            `outer_folds` of the estimate (default 3, 0: none); `scoring` of scikit-learn (default
            `roc_auc`; with more classes `roc_auc_ovr`, or `balanced_accuracy` for a classifier
            without probabilities of its own).
        seed: of the folds.
        progress: show a progress bar.

    Raises:
        ConfigError: an unknown setting, parameter or score, or a score that cannot be computed of
            this classifier and these classes; fewer patients of a class than folds.
    """
    check_keys("model.search", settings, ("grid", "folds", "outer_folds", "scoring"))
    scoring = settings.get("scoring") or _default_scoring(pipeline, scans)
    candidates = _candidates(pipeline, settings.get("grid") or {})
    inner_folds, outer_folds = settings.get("folds", 3), settings.get("outer_folds", 3)
    scorer = _scorer(scoring)
    outer = _folds(scans, outer_folds, seed, "outer_folds") if outer_folds else []
    inner = _folds(scans, inner_folds, seed, "folds")
    total = (len(outer) + 1) * len(candidates) * len(inner)
    held_out = []
    with progress_bar("Searching parameters", total, show=progress) as bar:
        tried = _scores(pipeline, scans, inner, candidates, scorer, bar.advance)
        for fit, score in outer:
            part = scans.rows(fit)
            folds = _folds(part, inner_folds, seed, "folds")
            best = _best(
                candidates, _scores(pipeline, part, folds, candidates, scorer, bar.advance)
            )
            found = _fit_and_score(pipeline, part, scans.rows(score), best, scorer)
            held_out.append({"parameters": best, "score": found})
    listed = [
        {"parameters": candidate, "mean": float(np.mean(row)), "sd": float(np.std(row))}
        for candidate, row in zip(candidates, tried, strict=True)
    ]
    return SearchResult(scoring, _best(candidates, tried), listed, held_out)


def set_parameters(pipeline: Pipeline, parameters: Mapping[str, Any]) -> Pipeline:
    """An unfitted copy of the pipeline whose classifier has these parameters."""
    named = {f"classifier__{name}": value for name, value in parameters.items()}
    return clone(pipeline).set_params(**named)


def _candidates(pipeline: Pipeline, grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = pipeline.named_steps["classifier"].get_params()
    for name, values in grid.items():
        if name not in known:
            raise ConfigError(
                "the classifier has no such parameter.",
                where=f"model.search.grid.{name}",
                fix=did_you_mean(name, known) or f"it has {', '.join(sorted(known))}.",
            )
        if not isinstance(values, list | tuple) or not values:
            raise ConfigError(
                f"must be a list of values, not {values!r}.", where=f"model.search.grid.{name}"
            )
    if not grid:
        raise ConfigError(
            "there is nothing to choose from.",
            where="model.search.grid",
            fix="give values by parameter, such as {C: [0.1, 1, 10]}, or set model.tune=false.",
        )
    return list(ParameterGrid({name: list(values) for name, values in grid.items()}))


def _default_scoring(pipeline: Pipeline, scans: TrainingScans) -> str:
    """The AUC, as far as the classifier can be scored by it.

    An AUC of several classes needs their probabilities, which a support vector machine has only
    once it is calibrated; the search comes before that.
    """
    if len(np.unique(scans.target)) <= 2:
        return "roc_auc"
    return "roc_auc_ovr" if hasattr(pipeline, "predict_proba") else "balanced_accuracy"


def _scorer(name: str) -> Scorer:
    """The score as a function of a fitted pipeline, features and targets."""
    if name not in get_scorer_names():
        raise ConfigError(
            f"scikit-learn has no score {name!r}.",
            where="model.search.scoring",
            fix=did_you_mean(str(name), get_scorer_names()) or "use roc_auc.",
        )
    scorer = get_scorer(name)

    def score_of(model: Pipeline, x: NDArray[np.float64], target: NDArray[np.integer]) -> float:
        try:
            found = float(scorer(model, x, target))
        except (AttributeError, TypeError, ValueError) as error:
            raise _useless(name, " ".join(str(error).split()).rstrip(".")) from error
        if not np.isfinite(found):
            raise _useless(name, f"it is {found} in a fold")
        return found

    return score_of


def _useless(scoring: str, why: str) -> ConfigError:
    return ConfigError(
        f"the score {scoring} cannot be computed of this classifier and these classes: {why}.",
        where="model.search.scoring",
        fix="use balanced_accuracy, which needs no probabilities, or set it to null.",
    )


def check_search_folds(
    target: NDArray[np.integer],
    patients: NDArray[np.generic],
    settings: Mapping[str, Any],
    *,
    seed: int,
) -> None:
    """Refuse a search whose folds cannot be made, those within its outer folds among them.

    Args:
        target, patients: (n,) of the training scans.
        settings, seed: see `nested_search`.

    Raises:
        ConfigError: with numbers of folds that work, if there are any.
    """
    scans = TrainingScans(np.empty((len(target), 0)), target, patients)
    inner, outer = settings.get("folds", 3), settings.get("outer_folds", 3)
    try:
        _all_folds(scans, inner, outer, seed)
    except ConfigError as error:
        whole = [n for n in (inner, outer) if isinstance(n, int) and not isinstance(n, bool)]
        if len(whole) < 2:
            raise
        fix = "set model.tune=false: a search needs more patients of each class."
        tried = [(n, m) for m in (*range(outer, 1, -1), 0) for n in range(inner, 1, -1)]
        for fewer, less in tried:
            try:
                _all_folds(scans, fewer, less, seed)
            except ConfigError:
                continue
            fix = f"use model.search.folds={fewer} model.search.outer_folds={less}."
            break
        raise ConfigError(error.what, where=error.where, fix=fix) from error


def _all_folds(scans: TrainingScans, inner: int, outer: int, seed: int) -> None:
    _folds(scans, inner, seed, "folds")
    for fit, _ in _folds(scans, outer, seed, "outer_folds") if outer else ():
        _folds(scans.rows(fit), inner, seed, "folds")


def _folds(scans: TrainingScans, n_folds: int, seed: int, name: str) -> Folds:
    where = f"model.search.{name}"
    return patient_folds(scans.target, scans.patients, n_folds, seed=seed, where=where, scored=True)


def _scores(
    pipeline: Pipeline,
    scans: TrainingScans,
    folds: Folds,
    candidates: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    advance: Advance,
) -> list[list[float]]:
    """For each candidate its score in each fold."""
    table = []
    for candidate in candidates:
        row = []
        for fit, score in folds:
            row.append(
                _fit_and_score(pipeline, scans.rows(fit), scans.rows(score), candidate, scorer)
            )
            advance()
        table.append(row)
    return table


def _fit_and_score(
    pipeline: Pipeline,
    fit: TrainingScans,
    score: TrainingScans,
    parameters: Mapping[str, Any],
    scorer: Scorer,
) -> float:
    model = set_parameters(pipeline, parameters)
    model.fit(fit.x, fit.target, **fit.fit_arguments())
    return scorer(model, score.x, score.target)


def _best(
    candidates: Sequence[dict[str, Any]], scores: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """The candidate with the best mean; of equal ones the first."""
    return candidates[int(np.argmax([np.mean(row) for row in scores]))]
