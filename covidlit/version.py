"""The version of covidlit; packages and records of runs read it here."""

__version__ = "0.1.0"
