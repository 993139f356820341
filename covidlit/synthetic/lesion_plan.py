"""Which lesions a case has: kinds, places and volumes, before they are drawn.

COVID-19: several, in both lungs, under the pleura, more behind and below (Bernheim et al. 2020;
Ng et al. 2020). Bacterial pneumonia: a segment or lobe of one side. Mycoplasma: patches along the
bronchi of a lobe. Other viruses: ground glass anywhere. All of the same total volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

from covidlit.synthetic.cases import Case
from covidlit.synthetic.tubes import F64


class Label(IntEnum):
    """Values of the lesion labels (contract 7)."""

    LUNG = 1
    CONSOLIDATION = 2
    GROUND_GLASS = 3
    FIBROSIS = 4
    INTERSTITIAL = 5
    EFFUSION = 6


Shape = Literal["pleural", "segment", "patch", "basal", "dependent"]


@dataclass(frozen=True)
class Lesion:
    """One lesion to draw.

    Args:
        label: its class.
        shape: "pleural" hugs the chest wall, "segment" is a wedge from the hilum, "patch" lies
            anywhere, "basal" is a rim at the lung's base, "dependent" a layer of fluid.
        centre: (x, y, z) in mm.
        volume_ml: how much lung it takes.
        density_hu: of consolidation and effusion; of the others, what they add to the lung.
        rough: how irregular its border is, as a part of its radius.
        order: lesions of one focus with lower numbers lie within those with higher ones.
    """

    label: Label
    shape: Shape
    centre: tuple[float, float, float]
    volume_ml: float
    density_hu: float
    rough: float = 0.35
    order: int = 0


@dataclass(frozen=True)
class LungPoints:
    """Points spread evenly in both lungs, to choose places from.

    Args:
        position: (n, 3), mm, (x, y, z).
        wall: (n,), distance to the chest wall, mm.
        floor: (n,), distance to the diaphragm, mm.
        lower_lobe: (n,), whether the point lies behind the major fissure.
    """

    position: F64
    wall: F64
    floor: F64
    lower_lobe: np.ndarray

    @property
    def depth(self) -> F64:
        """Distance to the chest wall or the diaphragm, (n,), mm."""
        return np.minimum(self.wall, self.floor)

    def draw(
        self, rng: np.random.Generator, weight: F64, side: int | None
    ) -> tuple[float, float, float]:
        """One point, by weight, of one side (-1 right, 1 left) or of both."""
        if side is not None:
            weight = weight * (np.sign(self.position[:, 0]) == side)
        x, y, z = self.position[rng.choice(len(weight), p=weight / weight.sum())]
        jitter = rng.uniform(-3, 3, 3)
        return float(x + jitter[0]), float(y + jitter[1]), float(z + jitter[2])


def plan_lesions(case: Case, points: LungPoints) -> list[Lesion]:
    """The lesions of a case; none for healthy lungs and nodules.

    The places come from the patient's stream, so that repeated scans show the same lesions at
    another time.
    """
    total = case.lesion_volume_ml
    if total <= 0:
        return []
    rng = case.patient_generator("lesions")
    if case.class_name == "covid":
        lesions = _covid(rng, points, total, case)
    elif case.class_name == "np":
        lesions = _fibrosis(rng, points, total)
    elif case.aetiology == "viral":
        lesions = _viral(rng, points, total)
    elif case.aetiology == "mycoplasma":
        lesions = _mycoplasma(rng, points, total)
    else:
        lesions = _bacterial(rng, points, total, mixed=case.aetiology != "bacterial")
    return sorted(lesions, key=lambda lesion: lesion.order)


def _shares(rng: np.random.Generator, count: int, total: float, least: float = 8.0) -> F64:
    # All are drawn, and the first ones used, so that more volume adds lesions and moves none.
    drawn = rng.gamma(2.5, size=count)
    count = max(1, min(count, int(total / (1.5 * least))))
    part = drawn[:count] / drawn[:count].sum()
    return least + part * (total - least * count) if count > 1 else np.array([total])


def _sigmoid(value: F64) -> F64:
    return 1 / (1 + np.exp(-value))


def _glass(rng: np.random.Generator) -> float:
    return float(rng.uniform(340, 500))


def _solid(rng: np.random.Generator) -> float:
    return float(rng.uniform(15, 50))


def _sides(rng: np.random.Generator, count: int, both: bool) -> list[int]:
    """A side for each lesion; `both` makes sure that both occur."""
    first = int(rng.choice([-1, 1]))
    if not both:
        return [first] * count
    rest = rng.choice([-1, 1], max(0, count - 2))
    return [first, -first, *map(int, rest)][:count]


def _covid(rng: np.random.Generator, points: LungPoints, total: float, case: Case) -> list[Lesion]:
    lone = rng.random() < 0.05
    count = 1 if lone else int(np.clip(3 + rng.poisson(1.0), 3, 6))
    typical = rng.random() < 0.92
    _x, y, z = points.position.T
    # Under the ribs rather than in the thin recess over the diaphragm.
    weight = np.exp(-(((points.wall - 9) / 6) ** 2)) * _sigmoid((points.floor - 22) / 5)
    if typical:
        weight = weight * (0.04 + _sigmoid((y - 10) / 14)) * (0.2 + _sigmoid((-5 - z) / 25))
    sides = _sides(rng, count, not lone)
    volumes = _shares(rng, count, total)
    own = rng.spawn(count)
    lesions: list[Lesion] = []
    for number, volume in enumerate(volumes):
        rng, side = own[number], sides[number]
        centre = points.draw(rng, weight, side)
        kind, glass, solid, core = rng.random(), _glass(rng), _solid(rng), rng.uniform(0.15, 0.45)
        rough = float(rng.uniform(0.25, 0.5))
        # Ground glass first, then crazy paving and consolidation, scars at the end.
        later = np.clip((case.day - 3) / 9, 0, 1)
        dense, lines = 0.12 + 0.22 * later, 0.14 + 0.2 * later
        scars = 0.35 if case.day > 15 else (0.18 if case.varied_lesions else 0.0)
        order = 10 * len(lesions)
        if kind < scars:
            lesions.append(Lesion(Label.FIBROSIS, "pleural", centre, volume, 130, rough, order))
        elif kind < scars + dense:
            inner = float(volume * core)
            lesions.append(
                Lesion(Label.CONSOLIDATION, "pleural", centre, inner, solid, rough, order)
            )
            lesions.append(
                Lesion(
                    Label.GROUND_GLASS, "pleural", centre, volume - inner, glass, rough, order + 1
                )
            )
        else:
            paving = kind < scars + dense + lines
            label = Label.INTERSTITIAL if paving else Label.GROUND_GLASS
            added = 0.7 * glass if paving else glass
            lesions.append(Lesion(label, "pleural", centre, volume, added, rough, order))
    if case.varied_lesions and rng.random() < 0.2:
        lesions.append(_effusion(points, sides[0], 0.2 * total))
    return lesions


def _effusion(points: LungPoints, side: int, volume: float) -> Lesion:
    x, _y, _z = points.position.T
    own = points.position[np.sign(x) == side]
    low = own[np.argmax(own[:, 1] - 0.7 * own[:, 2])]
    return Lesion(Label.EFFUSION, "dependent", tuple(map(float, low)), volume, 9.0, 0.05, -1)  # type: ignore[arg-type]


def _focus(
    rng: np.random.Generator, shape: Shape, centre: tuple[float, float, float], volume: float,
    solid_part: float, order: int,
) -> list[Lesion]:  # fmt: skip
    """Consolidation in a halo of ground glass."""
    solid, glass = volume * solid_part, volume * (1 - solid_part)
    rough = float(rng.uniform(0.15, 0.35))
    out = [Lesion(Label.CONSOLIDATION, shape, centre, solid, _solid(rng), rough, order)]
    if glass > 0.3:
        added = _glass(rng)
        out.append(Lesion(Label.GROUND_GLASS, shape, centre, glass, added, rough, order + 1))
    return out


def _bacterial(
    rng: np.random.Generator, points: LungPoints, total: float, mixed: bool
) -> list[Lesion]:
    lesions: list[Lesion] = []
    count = int(rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25] if mixed else [0.6, 0.3, 0.1]))
    both = rng.random() < (0.25 if mixed else 0.12)
    _x, _y, _z = points.position.T
    weight = _sigmoid((points.depth - 12) / 4) * np.where(points.lower_lobe, 1.3, 1.0)
    if rng.random() < 0.18:
        volume = total * float(rng.uniform(0.15, 0.3))
        total -= volume
        lesions.append(_effusion(points, 0, volume))
    volumes = _shares(rng, count, total, 4.0)
    sides = _sides(rng, len(volumes), both)
    for number, (volume, side) in enumerate(zip(volumes, sides, strict=True)):
        centre = points.draw(rng, weight, side)
        solid = float(rng.uniform(0.25, 0.8))
        lesions += _focus(rng, "segment", centre, float(volume), solid, 10 * number)
    if lesions[0].label == Label.EFFUSION:
        lesions[0] = _effusion(points, sides[0], lesions[0].volume_ml)
    return lesions


def _mycoplasma(rng: np.random.Generator, points: LungPoints, total: float) -> list[Lesion]:
    """Patches along the bronchi of one lobe."""
    count = int(rng.integers(3, 9))
    _x, _y, _z = points.position.T
    side = int(rng.choice([-1, 1]))
    lobe = bool(rng.random() < 0.6)
    weight = np.exp(-(((points.depth - 24) / 12) ** 2))
    weight = weight * np.where(points.lower_lobe == lobe, 1.0, 0.03)
    seed = np.array(points.draw(rng, weight, side))
    near = weight * np.exp(-((np.linalg.norm(points.position - seed, axis=1) / 38) ** 2)) + 1e-9
    elsewhere = rng.random() < 0.2
    lesions: list[Lesion] = []
    for number, volume in enumerate(_shares(rng, count, total)):
        away = elsewhere and number == 0
        centre = points.draw(rng, weight if away else near, -side if away else side)
        kind = rng.random()
        if kind < 0.3:
            lesions += _focus(rng, "patch", centre, float(volume), 0.45, 10 * number)
        else:
            label = Label.INTERSTITIAL if kind < 0.45 else Label.GROUND_GLASS
            lesions.append(
                Lesion(label, "patch", centre, float(volume), _glass(rng), 0.5, 10 * number)
            )
    return lesions


def _viral(rng: np.random.Generator, points: LungPoints, total: float) -> list[Lesion]:
    """Ground glass anywhere, ill-defined, often on both sides: the hard ones."""
    count = int(np.clip(1 + rng.poisson(1.5), 1, 5))
    weight = 0.15 + _sigmoid((points.depth - 14) / 5)
    volumes = _shares(rng, count, total)
    lesions: list[Lesion] = []
    sides = _sides(rng, len(volumes), bool(rng.random() < 0.55))
    for number, (volume, side) in enumerate(zip(volumes, sides, strict=True)):
        label = Label.INTERSTITIAL if rng.random() < 0.15 else Label.GROUND_GLASS
        centre = points.draw(rng, weight, side)
        lesions.append(Lesion(label, "patch", centre, float(volume), _glass(rng), 0.6, 10 * number))
    return lesions


def _fibrosis(rng: np.random.Generator, points: LungPoints, total: float) -> list[Lesion]:
    """A rim at the base of both lungs."""
    _x, y, z = points.position.T
    weight = np.exp(-points.depth / 5) * _sigmoid((-60 - z) / 15) * (0.1 + _sigmoid((y - 20) / 15))
    part = float(rng.uniform(0.4, 0.6))
    return [
        Lesion(
            Label.FIBROSIS, "basal", points.draw(rng, weight, side), total * share,
            float(rng.uniform(90, 160)), 0.3, number,
        )
        for number, (side, share) in enumerate(((-1, part), (1, 1 - part)))
    ]  # fmt: skip
