"""A labeller of some classes of lesions alone, such as those of one disease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.out import Algorithm
from covidlit.lesions.edits import BACKGROUND, EFFUSION, LUNG
from covidlit.quantify.labeller import Labeller
from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES, LesionLabels
from covidlit.scans.scan import Scan

_LONGEST = 64
"""Characters of an algorithm's name in DICOM."""


@dataclass(frozen=True)
class KeptClasses:
    """Labels of which some classes of lesions are kept, under the numbers that they have.

    A lesion of another class becomes lung, since it lies within, and a pleural effusion becomes
    background, since it lies beside: as where a person takes one away. So the lungs keep what is
    ill in them, whatever it is, and are without the effusion that is none of this disease; a border
    with what became lung counts as one with lung (edge clarity), one with what was an effusion as
    the pleura.

    Args:
        model: labels all classes.
        values: of the classes that are kept, in `LESION_CLASSES`.
        name: what they are together, ASCII; stands in the DICOM objects behind the algorithm.
    """

    model: Labeller
    values: frozenset[int]
    name: str

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        """See `Labeller`: that of the model, of these classes."""
        own = self.model.algorithm_of(source)
        end = f", {self.name}"[:_LONGEST]
        return replace(own, name=own.name[: _LONGEST - len(end)] + end)

    def engine_of(self, source: ScanSource) -> str:
        """See `Labeller`."""
        return self.model.engine_of(source)

    def settings(self) -> Mapping[str, Any]:
        """See `Labeller`: those of the model, and what is kept."""
        kept = [LESION_CLASSES[value] for value in sorted(self.values)]
        return {**self.model.settings(), "kept_classes": kept, "kept_for": self.name}

    def look_at(self, sources: Sequence[ScanSource]) -> None:
        """See `Labeller`."""
        self.model.look_at(sources)

    def made_from(self, source: ScanSource) -> Any:
        """See `Labeller`."""
        return self.model.made_from(source)

    def label(self, source: ScanSource, name: str, scan: Scan) -> LesionLabels:
        """See `Labeller`."""
        return keep_classes(self.model.label(source, name, scan), self.values)


def keep_classes(labels: LesionLabels, values: frozenset[int]) -> LesionLabels:
    """Labels without the lesions of other classes; see `KeptClasses`.

    Args:
        labels: contract 7; they stay as they are.
        values: of the classes that are kept.
    """
    table = np.arange(max(LESION_CLASSES) + 1, dtype=np.uint8)
    for value in LESION_CLASSES:
        if value >= FIRST_LESION and value not in values:
            table[value] = BACKGROUND if value == EFFUSION else LUNG
    classes = table[labels.classes]
    instances = np.where(classes >= FIRST_LESION, labels.instances, 0).astype(np.int32, copy=False)
    return LesionLabels(classes, instances, labels.affine)
