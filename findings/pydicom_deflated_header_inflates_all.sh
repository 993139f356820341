#!/usr/bin/env bash
# pydicom inflates the whole of a deflated file, also where only elements at its start are asked for.
#
# Version:   pydicom 3.0.2 (numpy 2.4.6), 2026-11-29
# Expected:  dcmread(stop_before_pixels=True, specific_tags=...) reads a deflated file as it reads
#            others: up to the pixel data. Deflate is a stream, so the header can be had without them
# Seen:      the file is read and inflated as a whole before the first element is looked at: listing
#            the headers of an archive takes the memory and the time of its pixels
# Output:    12 bits of noise in 64 frames of 512 x 512 (33.6 MB of pixels), Modality asked for:
#            explicit VR little endian: 1 element, peak 0.0 MB
#            deflated explicit VR little endian: 1 element, peak 109.9 MB
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import tracemalloc

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    generate_uid,
)

FRAMES = np.random.default_rng(0).integers(0, 4096, (64, 512, 512), dtype=np.uint16)


def write(path, syntax):
    image = pydicom.Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    image.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Modality, image.PatientID, image.PatientName = "OT", "phantom", "Phantom"
    image.NumberOfFrames, image.Rows, image.Columns = FRAMES.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation, image.PixelData = 0, FRAMES.tobytes()
    image["PixelData"].VR = "OW"
    image.save_as(path, enforce_file_format=True)


print(f"12 bits of noise in 64 frames of 512 x 512 ({FRAMES.nbytes / 1e6:.1f} MB of pixels), Modality asked for:")
peaks = []
for name, syntax in (
    ("explicit VR little endian", ExplicitVRLittleEndian),
    ("deflated explicit VR little endian", DeflatedExplicitVRLittleEndian),
):
    write("image.dcm", syntax)
    tracemalloc.start()
    header = pydicom.dcmread("image.dcm", stop_before_pixels=True, specific_tags=["Modality"])
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert header.Modality == "OT" and "PixelData" not in header
    print(f"{name}: {len(header)} element, peak {peaks[-1] / 1e6:.1f} MB")
if not (peaks[0] < 1e6 and peaks[1] > FRAMES.nbytes):
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
