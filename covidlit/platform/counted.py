"""What the processes of the pages count, together: Prometheus's client adds them up from files."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that names the folder of these files, set before this is imported."""

REQUESTS = Histogram(
    "covidlit_request_seconds", "Time until the answer of a page.", ["method", "route", "status"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0),
)  # fmt: skip
FAILED_LOG_INS = Counter("covidlit_failed_log_ins", "Log-ins that were refused.")
