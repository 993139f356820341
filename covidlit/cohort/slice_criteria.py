"""Which labelled slices or scans are used: the paper's two-level grading, and which slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from covidlit.cohort.columns import column_of
from covidlit.cohort.flow import Flow, left_out_notes
from covidlit.cohort.split import unit_key
from covidlit.counted import counted
from covidlit.errors import ManifestError


@dataclass(frozen=True)
class SliceCriteria:
    """The grading of image quality and labels (severity paper, "Annotation"), each off by null.

    It holds for slices (contract 11) and for the scans of a manifest that was graded. A row that
    lacks the value which a criterion looks at falls out or stays by `on_missing`, and
    is counted as not assessed either way.

    Args:
        quality_grades: only those of these grades of image quality (`quality_grade`).
        label_status: only those whose labels have this status, such as [approved].
        graders_agree: only those that both graders gave the same grade (`grader_1`, `grader_2`).
        on_missing: "keep", "exclude" or "error".
    """

    quality_grades: Sequence[str] | None = None
    label_status: Sequence[str] | None = None
    graders_agree: bool = False
    on_missing: str = "exclude"

    def __post_init__(self) -> None:
        if self.on_missing not in ("keep", "exclude", "error"):
            raise ManifestError(
                f"on_missing cannot be {self.on_missing!r}.",
                where="inclusion.on_missing",
                fix="choose keep, exclude or error.",
            )
        for name in ("quality_grades", "label_status"):
            value = getattr(self, name)
            if value is not None:
                values = (value,) if isinstance(value, str | int) else tuple(value)
                object.__setattr__(self, name, tuple(map(str, values)))

    def apply(self, table: pd.DataFrame, flow: Flow | None = None) -> tuple[pd.DataFrame, Flow]:
        """The rows that are left, and the flow with a step for each criterion.

        Raises:
            ManifestError: a row cannot be assessed and `on_missing` is "error".
        """
        flow = Flow.start(table, "labelled slices") if flow is None else flow
        for column, allowed in (
            ("quality_grade", self.quality_grades),
            ("label_status", self.label_status),
        ):
            if allowed is not None:
                value = column_of(table, column)
                fails = value.notna() & ~value.isin(list(allowed))
                name = f"{column} {' or '.join(allowed)}"
                table, flow = self._step(table, flow, name, fails, value.isna(), column)
        if self.graders_agree:
            one, other = column_of(table, "grader_1"), column_of(table, "grader_2")
            unknown = one.isna() | other.isna()
            name = "both graders agree"
            table, flow = self._step(
                table, flow, name, ~unknown & (one != other), unknown, "grader_1 or grader_2"
            )
        return table, flow

    def notes(self, flow: Flow) -> list[str]:
        """For each criterion that rows fell out at unassessed: why, and what can be done."""
        return left_out_notes(flow) if self.on_missing == "exclude" else []

    def _step(
        self,
        table: pd.DataFrame,
        flow: Flow,
        criterion: str,
        fails: pd.Series,
        unknown: pd.Series,
        column: str,
    ) -> tuple[pd.DataFrame, Flow]:
        missing = f"{column} is empty" if unknown.any() else ""
        fix = f"fill {column}, or keep such rows with inclusion.on_missing=keep."
        if self.on_missing == "error" and unknown.any():
            unit = unit_key(table)
            raise ManifestError(
                f"{counted(int(unknown.sum()), unit.removesuffix('_id'))} cannot be assessed for "
                f"{criterion!r}, such as {table.loc[unknown, unit].iloc[0]}: {missing}.",
                where="inclusion",
                fix=fix,
            )
        out = fails | unknown if self.on_missing == "exclude" else fails
        return flow.step(table, criterion, out, unknown, missing, fix if missing else "")


@dataclass(frozen=True)
class SliceChoice:
    """Which slices of each scan are taken; neighbours show much the same.

    Args:
        every: each n-th slice, counted from the scan's first one in the table.
        only_annotated: leave out slices without any object, lungs included.
        empty_share: largest share of slices without a lesion among those of a scan that are taken,
            in [0, 1); they are thinned evenly. Null: all of them.
    """

    every: int = 1
    only_annotated: bool = False
    empty_share: float | None = None

    def __post_init__(self) -> None:
        if type(self.every) is not int or self.every < 1:
            raise ManifestError(
                f"every must be a whole number of at least 1, not {self.every!r}.",
                where="data.choice.every",
                fix="give 1 for each slice.",
            )
        share = self.empty_share
        if share is not None and not (
            isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share < 1
        ):
            raise ManifestError(
                f"empty_share must be a share in [0, 1) or null, not {share!r}.",
                where="data.choice.empty_share",
                fix="give 0.5 for as many empty slices as there are with lesions.",
            )

    def apply(self, table: pd.DataFrame, flow: Flow) -> tuple[pd.DataFrame, Flow]:
        """The slices that are left, and the flow with a step for each choice.

        Args:
            table: slices with `target` (1 where there is a lesion) and `n_objects`.
            flow: so far.
        """
        if self.every > 1:
            first = table.groupby("scan_id")["slice_index"].transform("min")
            out = (table["slice_index"] - first) % self.every != 0
            table, flow = flow.step(table, f"every {self.every}th slice of a scan", out)
        if self.only_annotated:
            table, flow = flow.step(table, "at least one object", table["n_objects"] == 0)
        if self.empty_share is not None:
            out = pd.Series(False, index=table.index)
            for _, rows in table.sort_values("slice_index").groupby("scan_id"):
                empty = rows.index[rows["target"] == 0]
                with_lesion = int((rows["target"] == 1).sum())
                most = int(self.empty_share / (1 - self.empty_share) * with_lesion + 1e-9)
                if len(empty) > most:
                    # Spread over the scan: the k-th of n is taken where k * most / n gets whole.
                    taken = [(k + 1) * most // len(empty) > k * most // len(empty)
                             for k in range(len(empty))]  # fmt: skip
                    out[empty[[not kept for kept in taken]]] = True
            name = f"slices without a lesion: at most {self.empty_share:g} of a scan's"
            table, flow = flow.step(table, name, out)
        return table, flow
