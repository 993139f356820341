"""Scans' results sent to archives, after a person's confirmation, and the same as FHIR.

What is sent are the DICOM objects that `covidlit quantify` wrote of a labelling, kept with it: they
carry who the patient is as their source does, so that they come to lie beside it.
"""
