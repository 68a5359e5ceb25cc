"""Splines along which a statistic may depend on a covariate."""

import numpy as np

INTERIOR_KNOTS = (0.2, 0.4, 0.6, 0.8)  # quantiles


def spline_basis(x: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Cubic B-splines [n, functions] with knots at the quintiles of ``x`` [n] (de Boor 1978).

    They span any smooth curve of ``x``; a line where ``x`` has too few values for a curve.

    Args:
        weights: [n], how often each value counts for the quintiles; default: once.
    """
    from scipy.interpolate import BSpline  # takes a sixth of a second, and few of the jobs that import this need it

    if len(np.unique(x)) < 4 + len(INTERIOR_KNOTS):
        return x[:, None]
    ends = [x.min()] * 4, [x.max()] * 4
    if weights is None:
        interior = np.unique(np.quantile(x, INTERIOR_KNOTS))
    else:
        interior = np.unique(np.quantile(x, INTERIOR_KNOTS, weights=weights, method="inverted_cdf"))
    knots = np.concatenate([ends[0], interior[(interior > x.min()) & (interior < x.max())], ends[1]])
    return BSpline.design_matrix(x, knots, 3).toarray()
