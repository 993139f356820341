"""Labels from masks in a folder, such as another program or a person has drawn them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.out import Algorithm
from covidlit.errors import ConfigError, CovidlitError, did_you_mean
from covidlit.lesions.lungs import segment_lungs
from covidlit.lesions.matching import LUNG, number_lesions
from covidlit.preprocess.index import Signatures
from covidlit.scans.images import image_stem, read_volume
from covidlit.scans.lesion_labels import (
    FIRST_LESION,
    LESION_CLASSES,
    LabelError,
    LesionLabels,
    check_place,
    read_labels,
)
from covidlit.scans.scan import Scan

EXPECTED = (
    "for each scan <scan_id>.nii.gz: a mask of its lesions (0 and 1), or values of the classes "
    + ", ".join(f"{value} {name}" for value, name in LESION_CLASSES.items())
    + "; or <scan_id>.classes.nii.gz with <scan_id>.instances.nii.gz; all in the geometry of the "
    "scan"
)
"""What a folder of masks holds, in words."""

HEALTHY_BELOW_HU = -700
"""Thinner than ground glass under most definitions (`covidlit.lesions.spread`)."""

_CLASSES, _INSTANCES = ".classes.nii.gz", ".instances.nii.gz"
_SUFFIXES = (".nii.gz", ".mask.nii.gz", _CLASSES, ".nii", ".mha", ".nrrd")


@dataclass(frozen=True)
class MaskLabeller:
    """Reads labels from a folder.

    A mask of 0 and 1 says that there is a lesion and not which: it counts as the first class,
    unless `classes` says otherwise; one that looks like a mask of the lungs is refused without it.
    Where a mask has no lung, the lungs are found in the scan by thresholds
    (`covidlit.lesions.lungs`).

    Args:
        folder: see `EXPECTED`; a file is found by the scan's id, or by the name of the file or
            folder that holds the scan.
        classes: value in the masks -> name in `LESION_CLASSES`; empty: the values are ours.
        how: AUTOMATIC, SEMIAUTOMATIC or MANUAL: how they were drawn, for the DICOM objects.

    Raises:
        ConfigError: there is no such folder, or no such class.
    """

    folder: Path
    classes: Mapping[int, str] = field(default_factory=dict)
    how: str = "SEMIAUTOMATIC"
    _shared: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise ConfigError(
                f"there is no such folder; it is to hold {EXPECTED}.",
                where=self.folder,
                fix="check the path of --masks.",
            )
        for value, name in self.classes.items():
            if name not in LESION_CLASSES.values():
                names = list(LESION_CLASSES.values())
                raise ConfigError(
                    f"value {value}: there is no class {name!r}.",
                    where="--label",
                    fix=did_you_mean(name, names) or f"use of {', '.join(names)}.",
                )

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        """Masks come from elsewhere: covidlit only measured them."""
        return Algorithm("masks given to covidlit", how=self.how)

    def engine_of(self, source: ScanSource) -> str:
        """See `Labeller`: they are only read."""
        return "masks"

    def settings(self) -> dict[str, Any]:
        """See `Labeller`."""
        names = {str(value): name for value, name in sorted(self.classes.items())}
        return {"masks": str(self.folder.absolute()), "classes": names, "how": self.how}

    def look_at(self, sources: Sequence[ScanSource]) -> None:
        """See `Labeller`: names of files and folders that several scans have tell of none."""
        readable = [source.path for source in sources if source.read is not None]
        stems = Counter(name for path in readable for name in _names_of(path))
        self._shared.clear()
        self._shared.update(stem for stem, count in stems.items() if count > 1)

    def made_from(self, source: ScanSource) -> Any:
        """Names, sizes and times of the files of a scan; of all masks where they are not known.

        What a scan without an id is called, and so its mask, is known only when it is read.
        """
        signatures = Signatures(None)
        files = self.files_of(source) or [self.folder]
        return [[path.name, signatures.of(path, None)] for path in files]

    def files_of(self, source: ScanSource, name: str = "") -> list[Path]:
        """One mask, or classes and instances; empty where nothing tells of the scan."""
        # The name last: without it, as before the scan is read, the same files are found.
        own = [one for one in _names_of(source.path) if one not in self._shared]
        for known in dict.fromkeys(filter(None, (source.scan_id, *own, name))):
            pair = [self.folder / f"{known}{suffix}" for suffix in (_CLASSES, _INSTANCES)]
            if all(path.is_file() for path in pair):
                return pair
            for suffix in _SUFFIXES:
                if (path := self.folder / f"{known}{suffix}").is_file():
                    return [path]
        return []

    def label(self, source: ScanSource, name: str, scan: Scan) -> LesionLabels:
        """See `Labeller`."""
        files = self.files_of(source, name)
        if not files:
            raise LabelError(
                f"no mask of it in {self.folder.name}: looked for "
                f"{source.scan_id or name or image_stem(source.path)}.nii.gz.",
                where=self.folder,
                fix=f"the folder is to hold {EXPECTED}"
                + ("; several scans lie under the same name." if self._shared else "."),
            )
        if len(files) == 2 and not self.classes:
            known = files[0].name.removesuffix(_CLASSES)
            labels = read_labels(self.folder, known, scan)
            lungs = _lungs_where_missing(labels.classes, scan)
            return self._with_lungs(labels.classes, labels.instances, scan, lungs)
        classes, guessed = self._classes(files[0], scan)
        lungs = _lungs_where_missing(classes, scan)
        if guessed and lungs is not None and _looks_like_lungs(classes > 0, lungs, scan):
            raise LabelError(
                "its mask holds 0 and 1, and 1 looks like the lungs: most of it is air, and it "
                "covers much of the healthy lung. --label 1=lung or --label 1=consolidation (or "
                "another class) says what it is.",
                where=files[0],
                fix="give --label.",
            )
        return self._with_lungs(classes, number_lesions(classes), scan, lungs)

    def _classes(self, path: Path, scan: Scan) -> tuple[NDArray[np.uint8], bool]:
        """The classes of a mask, and whether it does not say what its 1 is."""
        try:
            values, affine = read_volume(path)
        except CovidlitError as problem:
            raise LabelError(
                f"the mask cannot be read: {problem.what}", where=path, fix="write it again."
            ) from problem
        check_place(path, values.shape, affine, scan)
        present = np.unique(values)
        table = {0: 0, **{value: value for value in LESION_CLASSES}}
        if self.classes:
            numbers = {name: value for value, name in LESION_CLASSES.items()}
            table = {0: 0, **{value: numbers[name] for value, name in self.classes.items()}}
        guessed = False
        if (
            not self.classes
            and present.tolist() in ([0, 1], [1])
            and not path.name.endswith(_CLASSES)
        ):
            guessed = True
            table = {0: 0, 1: FIRST_LESION}
        unknown = [value for value in present.tolist() if value not in table]
        if unknown:
            shown = ", ".join(f"{value:g}" for value in unknown[:6])
            raise LabelError(
                f"values without a class: {shown}.",
                where=path,
                fix="say what they are: --label 3=ground_glass (repeatable), of "
                f"{', '.join(LESION_CLASSES.values())}.",
            )
        classes = np.zeros(values.shape, np.uint8)
        for value in present.tolist():
            classes[values == value] = table[value]
        return classes, guessed

    @staticmethod
    def _with_lungs(
        classes: NDArray[np.uint8],
        instances: NDArray[np.int32],
        scan: Scan,
        lungs: NDArray[np.bool_] | None,
    ) -> LesionLabels:
        if lungs is not None:
            classes = classes.copy()
            classes[lungs & (classes == 0)] = LUNG
        return LesionLabels(classes, instances, scan.affine)


def _names_of(path: str) -> list[str]:
    """The name of a file without its ending, and that of a folder, which may have a dot in it."""
    return list(dict.fromkeys((image_stem(path), PurePosixPath(path).name)))


def _lungs_where_missing(classes: NDArray[np.uint8], scan: Scan) -> NDArray[np.bool_] | None:
    """The lungs by thresholds; None where the classes have lungs of their own."""
    if (classes == LUNG).any():
        return None
    return segment_lungs(scan.hu, scan.spacing) > 0


def _looks_like_lungs(mask: NDArray[np.bool_], lungs: NDArray[np.bool_], scan: Scan) -> bool:
    """Whether a mask is of the lungs, or of one: mostly air, and a third of the healthy lung.

    Of what is ill, little is as thin as air; where all of the lungs are ill, little of them is.
    """
    healthy = scan.hu < HEALTHY_BELOW_HU
    covered = int(np.count_nonzero(mask & healthy))
    air = int(np.count_nonzero(lungs & healthy))
    return 2 * covered > int(np.count_nonzero(mask)) and 3 * covered > air > 0
