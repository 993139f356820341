"""The node `data` of a run of numbers as arguments of its datamodule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from covidlit.arguments import require_n_jobs
from covidlit.datamodules.cohort_data import RunSettings
from covidlit.settings.keys import check_keys


def table_arguments(
    settings: Mapping[str, Any], run: RunSettings, known: Iterable[str]
) -> dict[str, Any]:
    """The arguments of a `TableDataModule`; makes the manifest of the source.

    Args:
        settings: the node, without `_target_`; `n_jobs` in it is for the models.
        run: what the run settles beside it.
        known: names of the datamodule's arguments.

    Raises:
        ConfigError: a setting that does not exist or does not fit.
    """
    data = dict(settings)
    source = data.pop("source")
    require_n_jobs(data.pop("n_jobs", 1))
    given = {
        "split": run.split,
        "label_rule": run.label_rule,
        "n_classes": run.label_rule.n_classes,
        "seed": run.seed,
        "strict": run.strict,
    }
    check_keys("data", data, set(known) - {"manifest", *given})
    inclusion = run.build(run.inclusion, "inclusion") if run.inclusion else None
    manifest = run.build(source, "sources", inclusion=inclusion)
    return {"manifest": str(manifest), **given, **data}
