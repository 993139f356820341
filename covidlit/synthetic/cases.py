"""Who is in a synthetic cohort: centre, class, demographics, RT-PCR, dates, scanner settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from covidlit.synthetic.centres import (
    CENTRES,
    CLASSES,
    TEST_AETIOLOGY,
    TRAINING_AETIOLOGY,
    Centre,
    Scanner,
    largest_remainder,
)
from covidlit.synthetic.streams import stream, synthetic_uid

COHORT_BEGIN = date(2019, 1, 1)
OUTBREAK = date(2019, 12, 1)
COHORT_END = date(2020, 5, 31)
LAST_DAY_BEFORE = date(2019, 11, 29)
"""The label rule takes scans before 30 November 2019 as negative without a test."""


@dataclass(frozen=True)
class Case:
    """One scan of one synthetic patient, before a single voxel is drawn.

    Args:
        seed: the cohort's seed.
        index: number of the scan in the cohort, from 0.
        patient: number of the patient, from 0; repeated scans share it and so the anatomy.
        visit: number of the scan within the patient, from 0.
        lesion_volume_ml: total volume of the pneumonia's lesions (0 where there is none).
        severity: "mild" for pneumonia in the presets of mild disease; "moderate", "severe" or
            "critical" in `severity`; None without pneumonia.
        spo2_percent: oxygen saturation on room air, at least 90 in mild pneumonia.
        severe: whether the patient is or becomes severe or critical.
        day: days from the onset of symptoms to the scan.
        mas, thickness_mm, field_of_view_mm: how it was scanned.
    """

    seed: int
    index: int
    patient: int
    visit: int
    centre: str
    class_name: str
    aetiology: str
    age: int
    sex: str
    rtpcr_initial: str | None
    rtpcr_round: int | None
    acquired: date
    severity: str | None
    severe: bool
    spo2_percent: int | None
    day: int
    lesion_volume_ml: float
    scanner: Scanner
    mas: int
    thickness_mm: float
    field_of_view_mm: float
    varied_lesions: bool = False

    @property
    def patient_id(self) -> str:
        """Value of PatientID: says that it is synthetic and of which cohort."""
        return f"SYN{self.seed:02d}-{self.patient + 1:04d}"

    @property
    def name(self) -> str:
        """Name of the scan's folder; tells nothing of the class."""
        return f"case_{self.index + 1:04d}"

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID."""
        return synthetic_uid(self.seed, "series", self.patient, self.visit)

    def generator(self, part: str) -> np.random.Generator:
        """Random stream of a part of this scan."""
        return stream(self.seed, part, self.patient, self.visit)

    def slice_generator(self, part: str, number: int) -> np.random.Generator:
        """Random stream of a part of one slice of this scan."""
        return stream(self.seed, part, self.patient, self.visit, number)

    def patient_generator(self, part: str) -> np.random.Generator:
        """Random stream of a part of this patient, the same in all scans."""
        return stream(self.seed, part, self.patient)


def plan_patients(n_patients: int, seed: int, classes: tuple[str, ...] = CLASSES) -> list[Case]:
    """One case per patient, in the paper's proportions of centre, class, sex and aetiology.

    Lesion volumes are left at 0. The order is random, so that numbers tell nothing of the class.
    """
    cells = {
        (centre.name, name): float(centre.counts[name]) for centre in CENTRES for name in classes
    }
    counts = largest_remainder(cells, n_patients)
    order = stream(seed, "order").permutation(n_patients)
    cases: list[Case] = []
    for number, centre in enumerate(CENTRES):
        own = {name: counts[centre.name, name] for name in classes}
        cases += _plan_centre(centre, own, seed, number, order[len(cases) :])
    return sorted(cases, key=lambda case: case.index)


def _plan_centre(
    centre: Centre, counts: Mapping[str, int], seed: int, number: int, order: np.ndarray
) -> list[Case]:
    rng = stream(seed, "centre", number)
    total = sum(counts.values())
    women = largest_remainder({"F": centre.female, "M": centre.size - centre.female}, total)
    sexes = rng.permutation(np.repeat(list(women), list(women.values())))
    table = TEST_AETIOLOGY if centre.name == "centre_4" else TRAINING_AETIOLOGY
    cases: list[Case] = []
    for name, count in counts.items():
        causes = largest_remainder(table[name], count)
        rounds = largest_remainder(centre.rtpcr_round, count) if name == "covid" else {}
        round_of = rng.permutation(np.repeat(list(rounds), list(rounds.values())))
        for k, cause in enumerate(np.repeat(list(causes), list(causes.values()))):
            place = int(order[len(cases)])
            positive = int(round_of[k]) if name == "covid" else None
            cases.append(
                _plan_case(centre, seed, place, name, str(cause), str(sexes[len(cases)]), positive)
            )
    return cases


def _plan_case(
    centre: Centre, seed: int, index: int, name: str, cause: str, sex: str, positive: int | None
) -> Case:
    rng = stream(seed, "case", index)
    age = -1.0
    while not 18 <= age <= 92:
        age = rng.normal(*centre.age)
    tested = positive is not None or rng.random() < 0.35
    first, last = (OUTBREAK, COHORT_END) if tested else (COHORT_BEGIN, LAST_DAY_BEFORE)
    if positive is not None:
        first = OUTBREAK + timedelta(days=20)
    acquired = first + timedelta(days=int(rng.integers(0, (last - first).days + 1)))
    initial = None
    if tested:
        initial = "positive" if positive == 1 else "negative"
    scanners = [scanner for scanner, _ in centre.scanners]
    scanner = scanners[int(rng.choice(len(scanners), p=[share for _, share in centre.scanners]))]
    return Case(
        seed=seed, index=index, patient=index, visit=0, centre=centre.name, class_name=name,
        aetiology=cause, age=round(age), sex=sex, rtpcr_initial=initial, rtpcr_round=positive,
        acquired=acquired, severity=None if name == "np" else "mild", severe=False,
        spo2_percent=None if name == "np" else int(rng.integers(93, 100)),
        day=int(rng.integers(2, 12)), lesion_volume_ml=0.0, scanner=scanner,
        mas=int(rng.integers(*scanner.mas)), thickness_mm=float(rng.choice(scanner.thickness_mm)),
        field_of_view_mm=float(np.round(rng.uniform(*scanner.field_of_view_mm))),
    )  # fmt: skip
