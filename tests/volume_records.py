"""The record of a run of volumes, from the `data` of its configuration, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covidlit.checkpoints.record import run_record


def volume_record(config: Mapping[str, Any], split_hash: str, **facts: Any) -> dict[str, Any]:
    """The record whose input is prepared as the node `data` of a configuration says."""
    data = config["data"]
    wanted = {
        name: data[name]
        for name in ("geometry", "window", "min_slices", "override_checks")
        if name in data
    }
    return run_record(config, split_hash, {"kind": "volume", **wanted}, **facts)
