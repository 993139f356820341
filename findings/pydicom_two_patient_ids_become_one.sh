#!/usr/bin/env bash
# pydicom reads two different PatientIDs as the same text where they do not fit the character set.
#
# Version:   pydicom 3.0.2, 2026-11-29
# Expected:  two ids that differ in a file differ when they are read: by the bytes kept in some form
#            (such as surrogateescape), or by an error. Archives often hold Latin-1 bytes in files
#            that say ISO_IR 192 (UTF-8)
# Seen:      each byte that does not decode becomes the same replacement character; there is a warning
#            that names neither the element nor the file, and the two patients have one id: grouping
#            by PatientID puts them together, and a text such as this cannot be turned back
# Output:    stored M\xfcller1 and M\xf6ller1, read 'M\ufffdller1' and 'M\ufffdller1': the same; 2 warnings
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import io
import warnings

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def file_of(patient):
    """A file that says UTF-8 and holds this PatientID in Latin-1, as a faulty export writes it."""
    image = pydicom.Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientID = "PATIENT1"
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    stored = patient.encode("latin-1").ljust(8)
    return io.BytesIO(written.getvalue().replace(b"PATIENT1", stored))


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    read = [pydicom.dcmread(file_of(patient)).PatientID for patient in ("Müller1", "Möller1")]
same = "the same" if read[0] == read[1] else "different"
print(
    f"stored M\\xfcller1 and M\\xf6ller1, read {ascii(read[0])} and {ascii(read[1])}: {same}; "
    f"{len(said)} warnings"
)
named = any("PatientID" in str(one.message) or "0010" in str(one.message) for one in said)
if read != ["M\ufffdller1"] * 2 or named:
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
