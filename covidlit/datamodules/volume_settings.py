"""The node `data` of a run of volumes as arguments of its datamodule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from covidlit.arguments import require_whole_number
from covidlit.datamodules.cohort_data import RunSettings
from covidlit.dicom import Checks
from covidlit.settings.keys import check_keys
from covidlit.settings.words import AUTO


def volume_arguments(
    settings: Mapping[str, Any], run: RunSettings, known: Iterable[str]
) -> dict[str, Any]:
    """The arguments of a `VolumeDataModule`; makes the manifest of the source.

    Args:
        settings: the node, without `_target_`.
        run: what the run settles beside it.
        known: names of the datamodule's arguments.

    Raises:
        ConfigError: a setting that does not exist or does not fit.
    """
    data = dict(settings)
    source, min_slices = data.pop("source"), data.pop("min_slices")
    require_whole_number(min_slices, "data.min_slices", at_least=1)
    if data["batch_size"] == AUTO:  # the runner settles it; nothing is loaded before
        data["batch_size"] = 1
    given = {
        "split": run.split,
        "label_rule": run.label_rule,
        "n_classes": run.label_rule.n_classes,
        "augmentation": run.augmentation,
        "checks": Checks(
            min_slices,
            frozenset(data.pop("override_checks") or ()),
            data.pop("image_orientation", None),
        ),
        "seed": run.seed,
        "strict": run.strict,
    }
    check_keys("data", data, set(known) - {"manifest", *given})
    inclusion = run.build(run.inclusion, "inclusion") if run.inclusion else None
    manifest = run.build(source, "sources", inclusion=inclusion)
    return {"manifest": str(manifest), **given, **data}
