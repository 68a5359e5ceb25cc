"""The sign-flip null of r: neurons that follow neither length nor what correlates with it, such as frequency.

r is a sum over tokens, and so over types. In neurons that do not depend on length the parts of the types have mean zero
and are independent, so the null gives each a random sign, the same for all neurons (the wild bootstrap by
clusters: Cameron, Gelbach and Miller 2008, Rev. Econ. Stat. 90:414). That preserves the size of the parts.
Permuting the lengths across types does not, and fails wherever types differ in more than length: covariates explain
more of the lengths of common types, and the mean of a rare type has a larger error.

The part of a type is the sum of its residuals times its mean weight, scaled to give all weights their norm, since the
weights vary with position. Rare types that a summary keeps together count as one.
"""

import numpy as np
from scipy.special import ndtr  # scipy.stats takes longer to import than a layer takes

SIGNS = np.array([-1.0, 1.0])
LEAST_LEVERAGE = 0.005  # of a type, below which it needs no correction


def corrected(hat: np.ndarray, weights: np.ndarray, ones: np.ndarray) -> float:
    """What is added to the sum of a type's weights, so that its part of r has the variance that it should have.

    The fit of the covariates takes part of the variance of a common type out of its residuals. This restores it:
    (1 − H)^(−1/2) for H, the block of the hat matrix that belongs to the type (CR2 of Bell and McCaffrey 2002, Survey
    Methodology 28:169), applied to the weights.

    Args:
        hat: [rank, rank], Qᵀ Q for the type's rows Q of the orthonormal covariates; H = Q Qᵀ.
        weights: [rank], Qᵀ w for the type's weights w.
        ones: [rank], Qᵀ 1.
    """
    # H has the eigenvalues of Qᵀ Q: f(H) - 1 = Q V diag((f(λ) - 1) / λ) Vᵀ Qᵀ.
    shares, vectors = np.linalg.eigh(hat)
    shares = np.clip(shares, 1e-12, 1 - 1e-6)
    return float((ones @ vectors) @ (((1 - shares) ** -0.5 - 1) / shares * (vectors.T @ weights)))


def p_of_null(r: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Two-sided p of r [neurons], whose null is normal about zero with standard deviations ``error`` [neurons].

    A count of resamples could not resolve p below 1 / resamples, which testing thousands of neurons at once needs.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * ndtr(-np.abs(r) / error)
