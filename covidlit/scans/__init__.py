"""Scans as volumes in Hounsfield units, and where they come from: images, DICOM folders, tables."""
