"""From scans to lesions, factors, DICOM objects and reports: what `covidlit quantify` does."""
