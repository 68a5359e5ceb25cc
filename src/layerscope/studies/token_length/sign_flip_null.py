"""The null of r: neurons that follow neither length nor what goes with it, such as frequency.

r is a sum over tokens, and so over types. Of neurons that know nothing of length the types' parts are about zero and
independent of each other, so the null gives each a random sign, the same for all neurons (the wild bootstrap by
clusters: Cameron, Gelbach and Miller 2008, Rev. Econ. Stat. 90:414). That keeps how large the parts are. Dealing the
lengths anew to the types does not, and errs wherever types differ in more than length: covariates leave less of the
lengths of common types, and the mean of a rare type is less sure.
"""

import numpy as np
from scipy.special import ndtr  # scipy.stats takes longer to import than a layer to assess

from layerscope.stats.jackknife import Groups

SIGNS = np.array([-1.0, 1.0])
LEAST = 0.005  # leverage below which a type is as its residuals are


def null_weights(weights: np.ndarray, basis: np.ndarray, types: Groups) -> np.ndarray:
    """Weights whose products with residuals, summed by type, have the variance of the types' parts of r.

    The fit of the covariates takes part of what a common type does out of its residuals. This puts it back:
    (1 - H)^-1/2 for H, the part of the hat matrix that is the type's (CR2 of Bell and McCaffrey 2002, Survey
    Methodology 28:169).

    Args:
        weights: [tokens], of r: what the covariates leave of the lengths.
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

    A count of resamples could not tell p below 1 / resamples apart, as testing thousands of neurons at once needs.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * ndtr(-np.abs(r) / error)
