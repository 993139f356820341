"""What the scanner adds to the anatomy: noise of its kernel and dose, clipping, padding."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import F32, Grid

REFERENCE_PIXEL_MM = 0.7


def _spectrum(shape: tuple[int, int], pixel: float, cutoff: float) -> F32:
    """Ramp times the kernel's fall-off: the noise power spectrum of filtered back-projection."""
    fy = np.fft.fftfreq(shape[0], pixel)[:, None]
    fx = np.fft.rfftfreq(shape[1], pixel)[None, :]
    radius = np.hypot(fy, fx)
    return (radius * np.exp(-((radius / cutoff) ** 2))).astype(np.float32)


def scanner_noise(case: Case, grid: Grid, slices: slice) -> F32:
    """Correlated noise of a run of slices in HU, (z, y, x).

    The spectrum is the one of the kernel in 1/mm, so that larger pixels hold less noise, as they
    do on a scanner; dose and thickness scale it by the square root.
    """
    pixel, shape = grid.spacing[1], grid.shape[1:]
    cutoff = case.scanner.cutoff_per_mm
    # Power that a 0.7 mm pixel holds, to tie the profile's noise to a 0.7 mm image.
    reference = _spectrum((128, 128), REFERENCE_PIXEL_MM, cutoff)
    whole = 2 * float(reference[:, 1:-1].sum()) + float(reference[:, [0, -1]].sum())
    power = whole / (128 * REFERENCE_PIXEL_MM) ** 2
    level = case.scanner.noise_hu * np.sqrt(5.0 / grid.spacing[0] * 150.0 / case.mas)
    gain = np.sqrt(_spectrum(shape, pixel, cutoff) / power) * np.float32(level / pixel)
    out = np.empty((slices.stop - slices.start, *shape), np.float32)
    for k, number in enumerate(range(slices.start, slices.stop)):
        # One stream per slice: slabs of any height give the same image.
        rng = case.slice_generator("noise", number)
        white = rng.standard_normal(shape, dtype=np.float32)
        out[k] = scipy.fft.irfft2(scipy.fft.rfft2(white) * gain, s=shape)
    return out


def digitise(case: Case, grid: Grid, hu: F32) -> NDArray[np.int16]:
    """Round to whole HU in the range that the scanner stores, with its padding.

    Returns:
        int16 HU, (z, y, x), as a reader gets them after the rescale; padding stands where the
        circular field of view ends, if the scanner pads.
    """
    lowest = -1024
    whole = np.clip(np.rint(hu), lowest, 3071).astype(np.int16)
    if case.scanner.padding_hu is not None:
        rows, columns = grid.shape[1:]
        y = np.arange(rows)[:, None] - (rows - 1) / 2
        x = np.arange(columns)[None, :] - (columns - 1) / 2
        whole[:, np.hypot(y / rows, x / columns) > 0.5] = case.scanner.padding_hu
    return whole
