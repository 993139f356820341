"""The four centres of the CSAC-Net paper: sizes, classes, aetiology (Tables 1 and 2), scanners.

The scanners are not in the paper, which says only GE and Siemens, 120 kV, 110-260 mAs and slices
of 1-5 mm; models and kernels here are typical ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Key = TypeVar("Key")

CLASSES = ("covid", "cap", "np")


@dataclass(frozen=True)
class Scanner:
    """How a scanner's series look, on the image and on the disk.

    Args:
        manufacturer, model, software, kernel: as written in the header.
        thickness_mm: reconstructed slice thicknesses that occur.
        mas: range of the exposure in mAs.
        field_of_view_mm: range of the reconstruction diameter.
        noise_hu: noise of a 5 mm slice at 150 mAs and 0.7 mm pixels, HU.
        cutoff_per_mm: frequency at which the kernel has fallen to 1/e; larger is sharper.
        signed: pixel representation.
        intercept: rescale intercept, HU.
        padding_hu: value outside the circular field of view, or None where it is plain air.
        head_first: instance numbers run from head to feet.
        file_name: pattern with `number` (file order, shuffled) and `uid`.
    """

    manufacturer: str
    model: str
    software: str
    kernel: str
    thickness_mm: tuple[float, ...]
    mas: tuple[int, int]
    field_of_view_mm: tuple[float, float]
    noise_hu: float
    cutoff_per_mm: float
    signed: bool
    intercept: int
    padding_hu: int | None
    head_first: bool
    file_name: str


LIGHTSPEED = Scanner(
    "GE MEDICAL SYSTEMS", "LightSpeed VCT", "07MW18.4", "STANDARD", (1.25, 2.5, 5.0), (120, 240),
    (340, 420), 11.0, 0.40, True, -1024, -3024, True, "IM{number:05d}",
)  # fmt: skip
OPTIMA = Scanner(
    "GE MEDICAL SYSTEMS", "Optima CT660", "13HW11.8", "SOFT", (1.25, 5.0), (110, 220),
    (330, 400), 10.0, 0.32, True, -1000, -2000, True, "i{number}.CTDC.{number}",
)  # fmt: skip
DEFINITION = Scanner(
    "SIEMENS", "SOMATOM Definition AS", "syngo CT 2012B", "B30f", (1.0, 2.0, 5.0), (110, 200),
    (320, 400), 10.5, 0.36, False, -1024, None, True, "{uid}.dcm",
)  # fmt: skip
EMOTION = Scanner(
    "SIEMENS", "Emotion 16", "VC20B", "B31s", (1.5, 3.0, 5.0), (110, 180),
    (330, 410), 13.0, 0.34, False, -1024, -1024, False, "CT.{uid}.IMA",
)  # fmt: skip


@dataclass(frozen=True)
class Centre:
    """One hospital.

    Args:
        name: value of the manifest's column `centre`.
        counts: patients per class (Table 1).
        female: number of women (Table 1).
        age: mean and standard deviation in years (Table 1).
        rtpcr_round: COVID-19 patients by the RT-PCR round that was positive (text and Table 2).
        scanners: scanners and the share of patients each one took.
    """

    name: str
    counts: Mapping[str, int]
    female: int
    age: tuple[float, float]
    rtpcr_round: Mapping[int, int]
    scanners: tuple[tuple[Scanner, float], ...]

    @property
    def size(self) -> int:
        """Patients in the paper."""
        return sum(self.counts.values())


CENTRES = (
    Centre(
        "centre_1", {"covid": 355, "cap": 127, "np": 109}, 325, (50, 17), {1: 218, 2: 116, 3: 21},
        ((EMOTION, 0.6), (OPTIMA, 0.4)),
    ),
    Centre(
        "centre_2", {"covid": 0, "cap": 290, "np": 205}, 246, (49, 19), {},
        ((DEFINITION, 0.7), (LIGHTSPEED, 0.3)),
    ),
    Centre(
        "centre_3", {"covid": 0, "cap": 165, "np": 287}, 237, (45, 16), {},
        ((OPTIMA, 0.5), (EMOTION, 0.5)),
    ),
    Centre(
        "centre_4", {"covid": 213, "cap": 174, "np": 162}, 269, (46, 19), {1: 132, 2: 75, 3: 6},
        ((LIGHTSPEED, 0.6), (DEFINITION, 0.4)),
    ),
)  # fmt: skip

TRAINING_AETIOLOGY: Mapping[str, Mapping[str, int]] = {
    "covid": {"covid": 355},
    "cap": {"bacterial": 325, "bacterial_mycoplasma": 79, "viral": 87, "mycoplasma": 91},
    "np": {"nodule": 200, "other": 24, "healthy": 377},
}
"""Table 2, training set: centres 1 to 3 together."""

TEST_AETIOLOGY: Mapping[str, Mapping[str, int]] = {
    "covid": {"covid": 213},
    "cap": {"bacterial": 90, "bacterial_mycoplasma": 23, "viral": 31, "mycoplasma": 30},
    "np": {"nodule": 59, "other": 6, "healthy": 97},
}
"""Table 2, independent test set: centre 4."""


def largest_remainder(weights: Mapping[Key, float], total: int) -> dict[Key, int]:
    """Split `total` in proportion to `weights`: whole parts that add up (Hamilton's method)."""
    keys = list(weights)
    share = np.array([weights[key] for key in keys], dtype=float)
    if not share.sum():
        return dict.fromkeys(keys, 0)
    exact = share / share.sum() * total
    whole = np.floor(exact).astype(int)
    # Stable: equal remainders go to the earlier key. A weight of zero never gets a part.
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return {key: int(count) for key, count in zip(keys, whole, strict=True)}
