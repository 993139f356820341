"""COCO JSON of labelled slices, read and written."""

from covidlit.cohort.coco.content import Coco, CocoAnnotation, CocoError, CocoImage
from covidlit.cohort.coco.read import read_coco
from covidlit.cohort.coco.write import write_coco

__all__ = ["Coco", "CocoAnnotation", "CocoError", "CocoImage", "read_coco", "write_coco"]
