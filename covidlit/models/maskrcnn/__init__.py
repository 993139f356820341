"""Mask R-CNN for slices, with a semantic branch: network, anchors, masks, pretrained weights."""

from covidlit.models.maskrcnn.anchors import AnchorFit, fit_anchors
from covidlit.models.maskrcnn.masks import boxes_of_masks, paste_masks, project_masks
from covidlit.models.maskrcnn.network import MaskRCNN
from covidlit.models.maskrcnn.slices import SlicePrediction, predict_slices

__all__ = [
    "AnchorFit",
    "MaskRCNN",
    "SlicePrediction",
    "boxes_of_masks",
    "fit_anchors",
    "paste_masks",
    "predict_slices",
    "project_masks",
]
