"""What would stop the report of a classification, found out before its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from covidlit.cohort.class_names import class_of_interest
from covidlit.cohort.split_mends import validation_fraction_for
from covidlit.errors import ConfigError, PredictionsError
from covidlit.evaluation.row_names import SCAN, in_unit
from covidlit.evaluation.settings import SETTINGS, check_rows, check_settings
from covidlit.runs.outcomes.predictions import LEFT_OUT
from covidlit.settings.keys import check_keys

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData


def check_evaluation_settings(settings: Mapping[str, Any]) -> None:
    """Check the node `evaluation` of a configuration by itself.

    Raises:
        ConfigError: names the setting and what it may be.
    """
    check_keys("evaluation", settings, SETTINGS)
    with _as_settings():
        check_settings(**settings)


def check_evaluation(config: Mapping[str, Any], data: CohortData) -> None:
    """Check the node `evaluation` against the scans that will be evaluated.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        data: set up.

    Raises:
        ConfigError: no such column for a subgroup, or a rule for the operating point that the
            validation part cannot give.
        PredictionsError: there is no test scan to score.
    """
    table = data.table
    rows = table[table["part"].isin(("validation", "test"))]
    rows = rows.drop(columns=[name for name in LEFT_OUT if name in rows])
    positive, classes = 1, list(config["model"].get("classes") or ())
    if len(classes) > 2:
        positive = classes.index(class_of_interest(classes))
    rows = rows.assign(fold=data.split.fold, target=rows["target"] == positive)
    asked = {k: v for k, v in config["evaluation"].items() if k in ("operating_point", "subgroups")}
    with _as_settings(data.unit):
        check_rows(rows, **asked)


def check_selection(
    data: CohortData, metric: str, n_classes: int, where: str, instead: str
) -> None:
    """Check that the metric which a training follows is defined on the validation part.

    The area under a curve needs every class. torchmetrics gives 0 without, in every epoch alike:
    the first one would count as the best.

    Args:
        data: set up.
        metric: its name.
        n_classes: targets are 0 .. n_classes - 1.
        where: the setting that follows it.
        instead: a setting that does not.

    Raises:
        ConfigError: no validation scan, or none of some class, can be loaded.
    """
    targets = data.rows_of("validation")["target"].astype(int).tolist()
    if not targets:
        empty = (
            "the split has no validation part"
            if not data.split.scans("validation")
            else (f"no {data.unit} of the validation part can be loaded")
        )
        raise ConfigError(
            f"{empty}, so nothing can be selected on it.", where=where, fix=_fix(data, instead)
        )
    missing = [str(label) for label in range(n_classes) if label not in targets]
    if missing:
        raise ConfigError(
            f"{metric} is undefined on the validation part: of its "
            f"{len(targets)} {data.unit}s that can be loaded, none has target "
            f"{' or '.join(missing)}.",
            where=where,
            fix=_fix(data, instead),
        )


def _fix(data: CohortData, instead: str) -> str:
    """How to get a validation part with every class, if that is known to be possible."""
    if data.split.kind == "from_column":
        column = data.split.arguments.get("column", "split")
        return (
            f"write validation into the column {column} for some patients of every class, or set "
            f"{instead}."
        )
    usable = data.manifest
    if "status" in usable:
        usable = usable[usable["status"] == "ok"]
    fraction = validation_fraction_for(usable, data.split)
    if fraction is None:
        return f"set {instead}: this split can give no validation part with every class."
    return f"set split.validation_fraction={fraction:g}, or {instead}."


@contextmanager
def _as_settings(unit: str = SCAN) -> Iterator[None]:
    """Name a setting as the command line does, and rows by what they are."""
    try:
        yield
    except PredictionsError as error:
        what, fix = in_unit(error.what, unit), in_unit(error.fix or "", unit) or None
        if error.where not in SETTINGS:
            raise PredictionsError(what, where=error.where, fix=fix) from error
        raise ConfigError(what, where=f"evaluation.{error.where}", fix=fix) from error
