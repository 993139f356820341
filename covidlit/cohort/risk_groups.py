"""Groups of patients by their risk of an event in time."""

from __future__ import annotations


def risk_group_names(n_groups: int) -> list[str]:
    """Names of groups of patients by their risk of an event, lowest first."""
    if n_groups <= 3:
        return {1: ["all"], 2: ["low risk", "high risk"]}.get(
            n_groups, ["low risk", "medium risk", "high risk"]
        )
    return [f"risk group {k + 1}" for k in range(n_groups)]
