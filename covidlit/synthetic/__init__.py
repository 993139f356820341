"""The synthetic cohort: real DICOM series of synthetic chest CT, with labels and ground truth."""

from covidlit.synthetic.make import CohortPaths, make_cohort
from covidlit.synthetic.presets import PRESETS, plan_cohort

__all__ = ["PRESETS", "CohortPaths", "make_cohort", "plan_cohort"]
