"""Lesions of the platform's scans: what `covidlit quantify` returns, brought into the registry."""
