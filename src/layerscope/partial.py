"""Correlation given controls, and of values drawn anew: many neurons at once, in float64."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import orth

NOTHING_LEFT = 1e-10  # share of a row's length below which what its controls leave is rounding


def control_basis(controls: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span 1 and ``controls`` [n, controls]: [n, rank].

    Controls that say the same, or do not vary, count once.
    """
    centred = controls - controls.mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)
    scaled = centred[:, spread > 0] / spread[spread > 0]
    ones = np.full((len(controls), 1), len(controls) ** -0.5)
    return np.hstack([ones, orth(scaled, rcond=NOTHING_LEFT)]) if scaled.size else ones


def residuals(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What least squares on ``basis`` leaves of each row [rows, n]; rows that it explains wholly become zero."""
    left = rows - (rows @ basis) @ basis.T
    left -= (left @ basis) @ basis.T  # once more, for the digits that the first pass cancelled
    explained = np.linalg.norm(left, axis=-1) <= NOTHING_LEFT * np.linalg.norm(rows, axis=-1)
    left[explained] = 0
    return left


def resampled_pearson(
    rows: np.ndarray, y: np.ndarray, sums: Callable[[np.ndarray], np.ndarray], drawn: np.ndarray
) -> np.ndarray:
    """Pearson's r of each row with ``y`` when groups of their n values are drawn anew.

    Args:
        rows: [rows, n], each of mean near zero and of a length near one, so that sums lose no digits.
        y: [n], likewise.
        sums: adds up [..., n] over the groups, to [..., groups].
        drawn: how often each group is drawn, [groups, draws].

    Returns:
        [rows, draws]; NaN where a row or ``y`` does not vary in a draw.
    """
    total = sums(np.ones_like(y)) @ drawn
    mean, mean_y = sums(rows) @ drawn / total, sums(y) @ drawn / total
    covariance = sums(rows * y) @ drawn / total - mean * mean_y
    variance = sums(rows * rows) @ drawn / total - mean * mean
    variance_y = sums(y * y) @ drawn / total - mean_y * mean_y
    least = NOTHING_LEFT / rows.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(variance > least, covariance / np.sqrt(variance * variance_y), np.nan)
    return np.clip(r, -1, 1)
