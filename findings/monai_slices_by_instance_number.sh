#!/usr/bin/env bash
# MONAI's PydicomReader stacks the slices of a series by InstanceNumber, not by their position.
#
# Version:   MONAI 1.6.1 (torch 2.14.1, pydicom 3.0.2), 2026-11-28; installs 5.5 GB
# Expected:  slices in the order of ImagePositionPatient: InstanceNumber is whatever a scanner or an
#            archive counted, and says nothing of the place of a slice
# Seen:      where the numbers go another way than the positions, the volume is scrambled without an
#            error or a warning, and the affine takes its origin and its spacing from the first and
#            the last slice of the wrong order: 1.43 mm for 5 mm
# Output:    slices at 0, 5, ... 35 mm come out in the order 1 5 0 2 4 6 7 3, spacing 1.43 mm; warnings: none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.14.1 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import warnings
from pathlib import Path

import numpy as np
import pydicom
from monai.data import PydicomReader
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

UIDS = [generate_uid() for _ in range(3)]


def ct_slice(number, position, orientation, value=0):
    image = pydicom.Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid()
    image.Modality, image.PatientID, image.PatientName = "CT", "phantom", "Phantom^CT"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = UIDS
    image.InstanceNumber = number
    image.ImagePositionPatient = [f"{mm:.6f}" for mm in position]
    image.ImageOrientationPatient = [f"{cosine:.9f}" for cosine in orientation]
    image.PixelSpacing, image.SliceThickness = [1, 1], 5
    image.Rows = image.Columns = 16
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = np.full((16, 16), value, "<i2").tobytes()
    return image


folder = Path("series")
folder.mkdir()
for k, number in enumerate([3, 1, 4, 8, 5, 2, 6, 7]):
    image = ct_slice(number, (0, 0, 5 * k), (1, 0, 0, 0, 1, 0), value=k)
    image.save_as(folder / f"{k}.dcm", enforce_file_format=True)
reader = PydicomReader()
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    volume, metadata = reader.get_data(reader.read(str(folder)))
order = [int(k) for k in volume[0, 0]]
spacing = abs(float(metadata["affine"][2, 2]))
print(
    f"slices at 0, 5, ... 35 mm come out in the order {' '.join(map(str, order))}, "
    f"spacing {spacing:.2f} mm; warnings: {len(said) or 'none'}"
)
if said or order in (sorted(order), sorted(order, reverse=True)):
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
