"""Scans in: uploads in pieces, archives unpacked within limits, series refused or taken.

What is taken in is measured by `covidlit quantify` in a job of its own.
"""
