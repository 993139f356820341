"""Evaluation: from the predictions table alone to statistics with intervals, and the report."""

from covidlit.evaluation.auc import auc_estimate
from covidlit.evaluation.compare import Comparison, compare
from covidlit.evaluation.comparison_report import write_comparison
from covidlit.evaluation.delong import delong_covariance
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.evaluation.evaluate import Evaluation, evaluate
from covidlit.evaluation.metrics_file import read_metrics, write_metrics
from covidlit.evaluation.predictions import (
    PREDICTIONS_SCHEMA,
    read_predictions,
    validate_predictions,
    write_predictions,
)
from covidlit.evaluation.report import write_report
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.run_report import run_context, run_settings
from covidlit.evaluation.runs import read_runs

__all__ = [
    "PREDICTIONS_SCHEMA",
    "Comparison",
    "Estimate",
    "Evaluation",
    "ReportContext",
    "auc_estimate",
    "compare",
    "delong_covariance",
    "evaluate",
    "format_estimate",
    "read_metrics",
    "read_predictions",
    "read_runs",
    "run_context",
    "run_settings",
    "validate_predictions",
    "write_comparison",
    "write_metrics",
    "write_predictions",
    "write_report",
]
