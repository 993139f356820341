#!/usr/bin/env bash
# pylibjpeg-openjpeg cannot write a JPEG 2000 image of fewer than 32 rows or columns.
#
# Version:   pylibjpeg-openjpeg 2.6.0 (pydicom 3.0.2, numpy 2.4.6), 2026-11-29
# Expected:  JPEG 2000 has no least size: thumbnails and localisers are compressed like other images,
#            with fewer decomposition levels where the default ones do not fit
# Seen:      the number of levels does not follow the size: a RuntimeError from 'opj_start_compress()'
#            that says nothing of the size
# Output:    16 x 16: RuntimeError, 31 x 64: RuntimeError, 64 x 31: RuntimeError, 32 x 32: ok, 64 x 64: ok
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pylibjpeg==2.1.0 pylibjpeg-openjpeg==2.6.0 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid


def outcome(rows, columns):
    image = pydicom.Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.Rows, image.Columns = rows, columns
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    pixels = np.arange(rows * columns, dtype="<u2").reshape(rows, columns)
    image.PixelData = pixels.tobytes()
    try:
        image.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    except RuntimeError as error:
        return type(error).__name__
    assert np.array_equal(image.pixel_array, pixels)
    return "ok"


sizes = [(16, 16), (31, 64), (64, 31), (32, 32), (64, 64)]
seen = [outcome(*size) for size in sizes]
print(", ".join(f"{rows} x {columns}: {one}" for (rows, columns), one in zip(sizes, seen)))
if seen != ["RuntimeError"] * 3 + ["ok"] * 2:
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
