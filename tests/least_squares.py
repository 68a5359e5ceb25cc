"""Residuals of many neurons at once given covariates, in float64."""

import numpy as np
from scipy.linalg import orth

from layerscope.stats.jackknife import NOTHING_LEFT


def covariate_basis(covariates: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span 1 and ``covariates`` [n, covariates]: [n, rank].

    Collinear covariates, and those that do not vary, add no column.
    """
    centred = covariates - covariates.mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)
    scaled = centred[:, spread > 0] / spread[spread > 0]
    ones = np.full((len(covariates), 1), len(covariates) ** -0.5)
    return np.hstack([ones, orth(scaled, rcond=NOTHING_LEFT)]) if scaled.size else ones


def residuals(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Residuals of each row [rows, n] from least squares on ``basis``; rows that it explains fully become zero."""
    left = rows - (rows @ basis) @ basis.T
    left -= (left @ basis) @ basis.T  # once more, for the digits that the first pass cancelled
    explained = np.linalg.norm(left, axis=-1) <= NOTHING_LEFT * np.linalg.norm(rows, axis=-1)
    left[explained] = 0
    return left
