"""Who made a derived object, and under which numbers its series stand in the study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydicom import Dataset

from covidlit.dicom.out.source import SourceSeries, without_patient_data_in_logs
from covidlit.errors import CovidlitError, DicomError, fault_reason
from covidlit.files import atomic_path
from covidlit.version import __version__

MANUFACTURER = "covidlit"
MODEL = "covidlit"
SOFTWARE = __version__
SERIAL_NUMBER = "software"
"""DeviceSerialNumber must not be empty in enhanced equipment; a program has none."""


class SeriesNumber(Enum):
    """SeriesNumber of each kind of object, out of the way of those of scanners."""

    CLASSES = 9101
    INSTANCES = 9102
    REPORT = 9103
    KEY_SLICES = 9104
    PDF = 9105


@dataclass(frozen=True)
class Algorithm:
    """What drew the labels.

    Args:
        name: such as "covidlit maskrcnn", or that of the program that masks came from.
        version: of it, or of the weights.
        how: AUTOMATIC, SEMIAUTOMATIC or MANUAL, as DICOM has it.
    """

    name: str = "covidlit"
    version: str = __version__
    how: str = "AUTOMATIC"

    def __post_init__(self) -> None:
        if self.how not in ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"):
            raise DicomError(
                f"how: value {self.how!r}: must be AUTOMATIC, SEMIAUTOMATIC or MANUAL.",
                where="Algorithm",
            )
        for name in ("name", "version"):
            value = getattr(self, name)
            if not value or len(value) > 64 or not value.isascii() or "\\" in value:
                raise DicomError(
                    f"{name}: value {value!r}: must be 1 to 64 ASCII characters without '\\'.",
                    where="Algorithm",
                )


@contextmanager
def made_from(source: SourceSeries, what: str) -> Iterator[None]:
    """Say in our words where an object could not be made; quote nothing of the patient.

    Args:
        source: what it is made from.
        what: the object's name for people.

    Raises:
        DicomError: another library refused the headers.
    """
    with without_patient_data_in_logs():
        try:
            yield
        except CovidlitError:
            raise
        except (AttributeError, KeyError, ValueError, TypeError) as error:
            raise DicomError(
                f"the {what} could not be made: {fault_reason(error, 'making it')}",
                where=source.folder,
                fix="the headers of the series may break the standard: look at them with dciodvfy.",
            ) from error


def save(dataset: Dataset, path: Path) -> Path:
    """Write an object so that it is whole or not there."""
    with without_patient_data_in_logs(), atomic_path(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return path


def equipment() -> dict[str, Any]:
    """The arguments by which highdicom's enhanced objects say what made them."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL,
        "software_versions": SOFTWARE,
        "device_serial_number": SERIAL_NUMBER,
    }
