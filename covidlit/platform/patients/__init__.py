"""The pages of patients and scans: lists, scans with their lesions, trend, the report."""
