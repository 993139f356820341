"""Scans in from scanners and archives: a receiver of C-STORE, and a fetch by DICOMweb.

Both end in an upload as those of the browser, which the same job takes in.
"""
