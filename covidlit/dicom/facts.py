"""Facts about a series that do not identify the patient, in plain types and named units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from covidlit.dicom.plausibility import believed
from covidlit.dicom.series import Series

Value = TypeVar("Value")


def metadata_of(series: Series) -> dict[str, object]:
    """Facts about scan and patient that do not identify the patient; None where unknown.

    What cannot be is unknown, too; `metadata_and_doubts` tells of it.

    Returns:
        manufacturer, scanner_model, kernel, kvp (kV), exposure_mas, slice_thickness_mm,
        spacing_mm (between neighbouring pixels), rows, columns, n_slices, age (years), sex,
        acquisition_date (ISO), acquisition_date_moved (whether it may be another than the scan's).
    """
    return metadata_and_doubts(series)[0]


def metadata_and_doubts(series: Series) -> tuple[dict[str, object], list[str]]:
    """The facts of `metadata_of`, and what headers say that cannot be or be relied on."""
    facts = _first_known(image.facts for image in series.images)
    frames, image = series.frames, series.images[0]
    spacing = _most_common(frame.pixel_spacing for frame in frames)
    found = believed(facts, _most_common(frame.thickness for frame in frames))
    metadata: dict[str, object] = {
        "manufacturer": facts.get("manufacturer") or None,
        "scanner_model": facts.get("model") or None,
        "kernel": _most_common(frame.kernel or None for frame in frames),
        "kvp": found.kvp,
        "exposure_mas": found.exposure_mas,
        "slice_thickness_mm": found.thickness_mm,
        "spacing_mm": None if spacing is None else spacing[0],
        "rows": image.rows,
        "columns": image.columns,
        "n_slices": len(frames),
        "age": found.age,
        "sex": facts["sex"] if facts.get("sex") in ("F", "M", "O") else None,
        "acquisition_date": None if found.acquired is None else found.acquired.isoformat(),
        "acquisition_date_moved": found.moved,
    }
    return metadata, found.doubts


def says_synthetic(series: Series) -> bool:
    """Whether the headers call the images synthetic, as those of `covidlit synthesize` do.

    They say it as the way in which identities were removed (DeidentificationMethod).
    """
    said = (image.facts.get("deidentification", "") for image in series.images)
    return any(text.lower().startswith("synthetic") for text in said)


def _first_known(all_facts: Iterable[dict[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for facts in all_facts:
        merged.update(
            {name: value for name, value in facts.items() if value and name not in merged}
        )
    return merged


def _most_common(values: Iterable[Value | None]) -> Value | None:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None
