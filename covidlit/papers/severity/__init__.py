"""The severity paper's figures beside ours: today its detection by thresholds on the factors."""

from covidlit.papers.severity.detection import DETECTION, detection
from covidlit.papers.severity.page import check_own_severity, write_severity

__all__ = ["DETECTION", "check_own_severity", "detection", "write_severity"]
