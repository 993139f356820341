"""The datamodule that a configuration describes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

from covidlit.arguments import require_whole_number
from covidlit.settings.keys import check_keys

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.cohort.split import Split
    from covidlit.datamodules.volume_datamodule import VolumeDataModule


def build_datamodule(
    config: dict[str, Any],
    use: Callable[[Split, pd.DataFrame], Split] | None = None,
) -> VolumeDataModule:
    """The cohort's manifest, its split and its cache; nothing is prepared yet.

    Args:
        config: the resolved configuration.
        use: makes the split in use from the configured one and the manifest; None: that one. Scans
            that it leaves out are not prepared.
    """
    from hydra.utils import instantiate

    from covidlit.datamodules.volume_datamodule import VolumeDataModule
    from covidlit.dicom import Checks

    data = dict(config["data"])
    source, min_slices = data.pop("source"), data.pop("min_slices")
    require_whole_number(min_slices, "data.min_slices", at_least=1)
    checks = Checks(min_slices, frozenset(data.pop("override_checks") or ()))
    label_rule = instantiate(config["label_rule"])
    configured = instantiate(config["split"])
    given = {
        "split": configured if use is None else lambda table: use(configured(table), table),
        "label_rule": label_rule,
        "n_classes": label_rule.n_classes,
        "augmentation": config.get("augmentation") or None,
        "checks": checks,
        "seed": config["seed"],
        "strict": config["strict"],
    }
    check_keys("data", data, signature(VolumeDataModule).parameters.keys() - {"manifest", *given})
    manifest = instantiate({**source, "inclusion": config.get("inclusion") or None})
    return VolumeDataModule(manifest=str(manifest), **given, **data)
