#!/usr/bin/env bash
# A segmentation that highdicom makes of one slice of a series says that slices are 1 mm apart.
#
# Version:   highdicom 0.28.2 (pydicom 3.0.2, numpy 2.4.6), 2026-11-28
# Expected:  from one slice: no SpacingBetweenSlices, or the slice thickness; a lesion has the same
#            volume whether its SEG was made of one slice or of the whole series
# Seen:      from one slice of 5 mm: SpacingBetweenSlices 1.0 beside SliceThickness 5, and
#            get_volume() gives voxels of 1 mm: a fifth of the volume. From slices 7 and 9: 10 mm.
#            Giving the whole series as source_images is right.
# Output:    lesion of 16 x 16 x 1 voxels of 1 x 1 x 5 mm = 1280 mm3
#            SEG of the whole series: thickness 5.0, spacing 5.0, 1280 mm3
#            SEG of its one slice: thickness 5.0, spacing 1.0, 256 mm3
#            SEG of slices 7 and 9: thickness 5.0, spacing 10.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import highdicom
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
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


def segmentation(slices, mask):
    for image in slices:
        for empty in ("PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"):
            setattr(image, empty, "")
        image.AccessionNumber = image.ReferringPhysicianName = image.PositionReferenceIndicator = ""
    lesion = highdicom.seg.SegmentDescription(
        1, "lesion", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion, "MANUAL"
    )
    return highdicom.seg.Segmentation(
        slices, mask, "BINARY", [lesion],
        series_instance_uid=generate_uid(), series_number=2,
        sop_instance_uid=generate_uid(), instance_number=1,
        manufacturer="none", manufacturer_model_name="none",
        software_versions="1", device_serial_number="1",
    )


def measures(seg):
    return seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


series = [ct_slice(k + 1, (0, 0, 5 * k), (1, 0, 0, 0, 1, 0)) for k in range(10)]
mask = np.zeros((10, 16, 16), np.uint8)
mask[4] = 1
volumes = []
print("lesion of 16 x 16 x 1 voxels of 1 x 1 x 5 mm = 1280 mm3")
for name, slices, lesion in (
    ("the whole series", series, mask),
    ("its one slice", series[4:5], mask[4:5]),
):
    seg = segmentation(slices, lesion)
    volume = seg.get_volume(combine_segments=True)
    volumes.append(float(volume.array.sum() * np.prod(volume.spacing)))
    said = measures(seg)
    print(
        f"SEG of {name}: thickness {said.SliceThickness}, spacing {said.SpacingBetweenSlices}, "
        f"{volumes[-1]:.0f} mm3"
    )
said = measures(segmentation([series[6], series[8]], np.ones((2, 16, 16), np.uint8)))
print(
    f"SEG of slices 7 and 9: thickness {said.SliceThickness}, spacing {said.SpacingBetweenSlices}"
)
if [round(volume) for volume in volumes] != [1280, 256]:
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
