"""Augmentation: drawn from a seed, applied alike to whatever belongs to an image."""

from covidlit.transforms.augmentation import Augmentation, AugmentationParameters

__all__ = ["Augmentation", "AugmentationParameters"]
