"""Evaluation of segmentations from their tables: overlap, detections, surfaces, volumes."""

from covidlit.evaluation.segmentation.evaluate import evaluate_segmentation
from covidlit.evaluation.segmentation.report import write_segmentation_report
from covidlit.evaluation.segmentation.tables import (
    DETECTIONS,
    OBJECTS,
    SLICES,
    read_segmentation_tables,
    split_rows,
    write_segmentation_tables,
)

__all__ = [
    "DETECTIONS",
    "OBJECTS",
    "SLICES",
    "evaluate_segmentation",
    "read_segmentation_tables",
    "split_rows",
    "write_segmentation_report",
    "write_segmentation_tables",
]
