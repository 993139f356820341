"""What stays in a header for those who may not know who the patient is; all else goes.

A list of what stays, and not one of what goes: an attribute that nobody has thought of is no leak.
It holds what the Basic Profile of PS3.15, annex E, keeps, as far as reading, measuring and showing
images, segmentations and reports need it, with the dates of the examination (option "Retain
Longitudinal Temporal Information with Full Dates"), which the platform's pages show too.
"""

from __future__ import annotations

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedSRStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from covidlit.platform.sending.dicom_objects import LABEL_MAP

IMAGES_AND_REPORTS = frozenset(
    {
        CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage,
        SecondaryCaptureImageStorage, MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage, SegmentationStorage, LABEL_MAP,
        EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage,
    }
)  # fmt: skip
"""Kinds of objects whose header can be freed of who the patient is. Others, such as a PDF, whose
pages name the patient, are for those who may know alone."""

NUMBERS = frozenset({"DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "UV", "SV", "AT"})
"""Value representations that hold numbers."""

NO_NUMBERS = frozenset(
    {
        "PatientSize", "PatientWeight", "PatientBodyMassIndex", "MeasuredAPDimension",
        "MeasuredLateralDimension", "PregnancyStatus", "PatientSizeCodeSequence",
        "RequestedProcedurePriority", "OtherStudyNumbers", "InterventionStatus",
    }
)  # fmt: skip
"""Numbers that go all the same: of the patient's person, or of the hospital's orders."""

CODES = frozenset(
    {
        "ImageType", "FrameType", "Modality", "ConversionType", "BodyPartExamined",
        "PatientPosition", "PatientOrientation", "ScanOptions", "RotationDirection",
        "ExposureModulationType", "TableMotion", "Laterality", "ImageLaterality", "FrameLaterality",
        "PhotometricInterpretation", "PixelPresentation", "VolumetricProperties",
        "VolumeBasedCalculationTechnique", "BurnedInAnnotation", "LossyImageCompression",
        "LossyImageCompressionMethod", "RescaleType", "VOILUTFunction", "PresentationLUTShape",
        "ContentQualification", "ContentLabel", "AcquisitionType", "TubeAngle",
        "ReconstructionAlgorithm", "ConvolutionKernelGroup", "SpatialLocationsPreserved",
        "DimensionOrganizationType", "SegmentationType", "SegmentationFractionalType",
        "SegmentsOverlap", "SegmentAlgorithmType", "ValueType", "RelationshipType",
        "ContinuityOfContent", "CompletionFlag", "VerificationFlag", "PreliminaryFlag",
        "TemplateIdentifier", "MappingResource", "GraphicType", "TemporalRangeType",
        "PixelSpacingCalibrationType", "LongitudinalTemporalInformationModified",
        "RecognizableVisualFeatures", "FilterType",
    }
)  # fmt: skip
"""Attributes of coded strings (CS) and the like, of capitals, digits, blanks and underscores."""

TEXTS = frozenset(
    {
        "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel",
        "DimensionDescriptionLabel",
    }
)  # fmt: skip
"""Texts that a scanner writes."""

CODED_TERMS = frozenset(
    {
        "CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator",
        "CodingSchemeVersion", "CodeMeaning",
    }
)  # fmt: skip
"""Terms of a coding scheme."""

OWN_TEXTS = frozenset(
    {
        "SeriesDescription", "DeviceSerialNumber", "SegmentLabel", "SegmentAlgorithmName",
        "AlgorithmName",
        "AlgorithmVersion", "TrackingID", "TextValue", "ContentDescription",
        "DerivationDescription", "CodingSchemeName", "CodingSchemeResponsibleOrganization",
    }
)  # fmt: skip
"""Texts that stay in objects that covidlit wrote, where it wrote them."""

DATES = frozenset(
    {"StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate"}
)

SEQUENCES = frozenset(
    {
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
        "DimensionOrganizationSequence", "DimensionIndexSequence", "PixelMeasuresSequence",
        "PlanePositionSequence", "PlaneOrientationSequence", "FrameContentSequence",
        "FrameVOILUTSequence", "PixelValueTransformationSequence", "FrameAnatomySequence",
        "AnatomicRegionSequence", "AnatomicRegionModifierSequence", "CTImageFrameTypeSequence",
        "CTAcquisitionTypeSequence", "CTAcquisitionDetailsSequence", "CTTableDynamicsSequence",
        "CTPositionSequence", "CTGeometrySequence", "CTReconstructionSequence",
        "CTExposureSequence", "CTXRayDetailsSequence", "IrradiationEventIdentificationSequence",
        "DerivationImageSequence", "SourceImageSequence", "DerivationCodeSequence",
        "PurposeOfReferenceCodeSequence", "ReferencedImageSequence", "ReferencedSeriesSequence",
        "ReferencedInstanceSequence", "SegmentSequence", "SegmentIdentificationSequence",
        "SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence",
        "SegmentedPropertyTypeModifierCodeSequence", "AlgorithmFamilyCodeSequence",
        "SegmentationAlgorithmIdentificationSequence", "AlgorithmNameCodeSequence",
        "ContentSequence", "ConceptNameCodeSequence", "ConceptCodeSequence",
        "MeasuredValueSequence", "MeasurementUnitsCodeSequence",
        "NumericValueQualifierCodeSequence", "ReferencedSOPSequence",
        "CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence",
        "ContentTemplateSequence", "CodingSchemeIdentificationSequence",
        "ReferencedPerformedProcedureStepSequence", "PerformedProcedureCodeSequence",
        "ModalityLUTSequence", "VOILUTSequence",
    }
)  # fmt: skip
"""Sequences that are gone through item by item."""

TABLES = frozenset(
    {
        "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData", "LUTData",
    }
)  # fmt: skip
"""Bytes and words by which pixels are shown."""
