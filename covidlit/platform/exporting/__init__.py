"""Corrected scans as a training set: one download of images, labels and COCO, by a job."""
