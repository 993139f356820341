"""The CSAC-Net paper's cohort, row by row from its Tables 1 and 2; and tiny DICOM series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort import validate_manifest

# centre: (women, mean age, SD, {class: n})
CENTRES = {
    "centre_1": (325, 50, 17, {"covid": 355, "cap": 127, "np": 109}),
    "centre_2": (246, 49, 19, {"cap": 290, "np": 205}),
    "centre_3": (237, 45, 16, {"cap": 165, "np": 287}),
    "centre_4": (269, 46, 19, {"covid": 213, "cap": 174, "np": 162}),
}
# (initially negative, positive in the second test): the rest of them in the third
INITIALLY_NEGATIVE = {"centre_1": (137, 116), "centre_4": (81, 75)}
CAUSES = {
    "train": {
        "cap": {"bacterial": 325, "bacterial_mycoplasma": 79, "viral": 87, "mycoplasma": 91},
        "np": {"nodule": 200, "other": 24, "healthy": 377},
    },
    "test": {
        "cap": {"bacterial": 90, "bacterial_mycoplasma": 23, "viral": 31, "mycoplasma": 30},
        "np": {"nodule": 59, "other": 6, "healthy": 97},
    },
}


def ages(n: int, mean: float, sd: float) -> np.ndarray:
    """Evenly spread ages with exactly this mean and sample SD."""
    spread = np.linspace(-1, 1, n)
    return mean + sd * spread / spread.std(ddof=1)


def paper_table() -> pd.DataFrame:
    """2,087 rows; half of the CAP and NP cases untested in 2019, half with a negative RT-PCR."""
    rows = []
    for centre, (women, mean, sd, classes) in CENTRES.items():
        n = sum(classes.values())
        names = [name for name, count in classes.items() for _ in range(count)]
        age = ages(n, mean, sd)
        for i, name in enumerate(names):
            row = {
                "patient_id": f"P{centre[-1]}{i:04d}",
                "centre": centre,
                "class_name": name,
                "age": age[i],
                # Spread over the classes, and as many as the paper counts.
                "sex": "F" if (i * women) % n < women else "M",
                "acquisition_date": "2020-02-15",
                "slice_thickness_mm": 5.0,
                "spo2_percent": None if name == "np" else 95.0,
            }
            if name == "covid":
                negative, second = INITIALLY_NEGATIVE[centre]
                if i < negative:
                    row |= {"rtpcr_initial": "negative", "rtpcr_round": 2 if i < second else 3}
                else:
                    row |= {"rtpcr_initial": "positive", "rtpcr_round": 1}
            elif i % 2:
                row["rtpcr_initial"] = "negative"
            else:
                row["acquisition_date"] = "2019-06-01"
            rows.append(row)
    table = pd.DataFrame(rows)
    table["scan_id"] = "S" + table["patient_id"]
    table["path"] = "dicom/" + table["patient_id"]
    table["aetiology"] = pd.Series(None, index=table.index, dtype="object")
    for part, classes in CAUSES.items():
        in_part = (table["centre"] == "centre_4") == (part == "test")
        for name, causes in classes.items():
            places = table.index[in_part & (table["class_name"] == name)]
            listed = [cause for cause, count in causes.items() for _ in range(count)]
            table.loc[places, "aetiology"] = listed
    return table


@pytest.fixture(scope="session")
def _paper() -> pd.DataFrame:
    return validate_manifest(paper_table())


@pytest.fixture
def paper_manifest(_paper: pd.DataFrame) -> pd.DataFrame:
    """The 2,087 included exams of the paper, without targets."""
    return _paper.copy()


@pytest.fixture
def manifest() -> pd.DataFrame:
    """48 scans of 24 patients in four centres; COVID-19 in the first and the last centre only."""
    rows = []
    for i in range(48):
        centre = f"centre_{1 + i // 12}"
        covid = centre in ("centre_1", "centre_4") and i % 12 < 6
        rows.append(
            {
                "patient_id": f"P{i // 2:02d}",
                "scan_id": f"S{i:02d}",
                "path": f"dicom/{i}",
                "series_uid": f"1.2.{i}",
                "class_name": "covid" if covid else ("cap", "np")[i // 2 % 2],
                "centre": centre,
                "target": int(covid),
            }
        )
    return validate_manifest(pd.DataFrame(rows))


@pytest.fixture
def write_series(tmp_path: Path) -> Callable[..., Path]:
    """Write a tiny classic CT series below tmp_path/dicom and return its folder."""

    def write(
        place: str,
        patient: str,
        study: str,
        uid: str,
        *,
        n: int = 14,
        drop: int = -1,
        **tags: object,
    ) -> Path:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

        folder = tmp_path / "dicom" / place
        folder.mkdir(parents=True, exist_ok=True)
        thickness = tags.get("SliceThickness", 5)
        for k in range(n):
            if k == drop:
                continue
            data = Dataset()
            data.file_meta = FileMetaDataset()
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{k + 1}"
            data.PatientID, data.PatientName = patient, "DOE^JANE"
            data.StudyInstanceUID, data.SeriesInstanceUID = study, uid
            data.FrameOfReferenceUID = study + ".9"
            data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
            data.PatientSex, data.PatientAge, data.AcquisitionDate = "F", "050Y", "20200201"
            data.Manufacturer, data.ConvolutionKernel, data.KVP = "GE", "STANDARD", 120
            data.SliceThickness, data.InstanceNumber = thickness, k + 1
            data.ImagePositionPatient = [-4, -4, k * thickness]
            data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            data.PixelSpacing, data.Rows, data.Columns = [1, 1], 8, 8
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
            data.BitsAllocated = data.BitsStored = 16
            data.HighBit, data.PixelRepresentation = 15, 1
            data.RescaleSlope, data.RescaleIntercept = 1, -1024
            data.PixelData = np.full((8, 8), k, np.int16).tobytes()
            for name, value in tags.items():
                setattr(data, name, value)
            # Archives name files by patient: the name must not get into anything that is kept.
            data.save_as(folder / f"DOE_{k}.dcm", enforce_file_format=True)
        return folder

    return write
