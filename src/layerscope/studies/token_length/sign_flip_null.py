"""The sign-flip null of r: neurons that follow neither length nor what correlates with it, such as frequency.

r is a sum over tokens, and so over types. In neurons that do not depend on length the parts of the types have mean zero
and are independent, so the null gives each a random sign, the same for all neurons (the wild bootstrap by
clusters: Cameron, Gelbach and Miller 2008, Rev. Econ. Stat. 90:414). That preserves the size of the parts.
Permuting the lengths across types does not, and fails wherever types differ in more than length: covariates explain
more of the lengths of common types, and the mean of a rare type has a larger error.
"""

import numpy as np
from scipy.special import ndtr  # scipy.stats takes longer to import than a layer takes

from layerscope.stats.jackknife import Groups

SIGNS = np.array([-1.0, 1.0])
LEAST = 0.005  # leverage below which a type needs no correction


def null_weights(weights: np.ndarray, basis: np.ndarray, types: Groups) -> np.ndarray:
    """Weights whose products with residuals, summed by type, have the variance of the types' parts of r.

    The fit of the covariates takes part of the variance of a common type out of its residuals. This restores it:
    (1 − H)^(−1/2) for H, the block of the hat matrix that belongs to the type (CR2 of Bell and McCaffrey 2002, Survey
    Methodology 28:169).

    Args:
        weights: [tokens], of r: residuals of the lengths given the covariates.
        basis: [tokens, rank], orthonormal, of the covariates.
    """
    result = weights.copy()
    for kind in np.flatnonzero(types.sums((basis**2).sum(axis=1)) > LEAST):
        of = types.order[types.starts[kind] : types.starts[kind] + types.sizes[kind]]
        # H = Q Qᵀ has the eigenvalues of Qᵀ Q: f(H) - 1 = Q V diag((f(λ) - 1) / λ) Vᵀ Qᵀ.
        shares, vectors = np.linalg.eigh(basis[of].T @ basis[of])
        shares = np.clip(shares, 1e-12, 1 - 1e-6)
        rotated = basis[of] @ vectors
        result[of] += rotated @ (((1 - shares) ** -0.5 - 1) / shares * (rotated.T @ weights[of]))
    return result


def p_of_null(r: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Two-sided p of r [neurons], whose null is normal about zero with standard deviations ``error`` [neurons].

    A count of resamples could not resolve p below 1 / resamples, which testing thousands of neurons at once needs.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * ndtr(-np.abs(r) / error)
