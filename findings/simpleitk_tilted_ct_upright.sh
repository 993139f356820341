#!/usr/bin/env bash
# SimpleITK reads a CT with a tilted gantry as if its slices were stacked at a right angle.
#
# Version:   SimpleITK 2.5.7 (pydicom 3.0.2 writes the series), 2026-11-28
# Expected:  an image whose last slice lies where its ImagePositionPatient says, or an error: a
#            direction and a spacing cannot hold a sheared grid
# Seen:      no error and no warning; the direction is orthogonal, and the slices leave their true
#            place by 2 sin(18.5 / 2 degrees) of the way along the table: 62.7 mm after 39 slices of
#            5 mm. Volumes by its spacing are 5.4% too large (1 / cos 18.5 degrees).
# Output:    last slice at (-100.0, -161.9, 184.9) mm, by its header at (-100.0, -100.0, 195.0) mm: 62.7 mm apart; warnings: none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import warnings
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
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


tilt = radians(18.5)
leaning = (1, 0, 0, 0, cos(tilt), sin(tilt))
folder = Path("series")
folder.mkdir()
for k in range(40):
    image = ct_slice(k + 1, (-100, -100, 5 * k), leaning)
    image.GantryDetectorTilt = 18.5
    image.save_as(folder / f"{k:02}.dcm", enforce_file_format=True)
reader = SimpleITK.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    volume = reader.Execute()
read = np.array(volume.TransformIndexToPhysicalPoint((0, 0, 39)))
true = np.array([-100.0, -100.0, 195.0])
apart = float(np.linalg.norm(read - true))
print(
    f"last slice at ({', '.join(f'{mm:.1f}' for mm in read)}) mm, by its header at "
    f"({', '.join(f'{mm:.1f}' for mm in true)}) mm: {apart:.1f} mm apart; "
    f"warnings: {len(said) or 'none'}"
)
if apart < 1 or said:
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
