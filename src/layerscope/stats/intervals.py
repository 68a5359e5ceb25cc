"""The level of intervals and tests, and null bands: Student's t with a standard error from resamples."""

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats takes longer to import than most jobs take

ALPHA = 0.05  # the level of every interval and test


def student_quantile(df: float, level: float = ALPHA) -> float:
    """Half-width of a two-sided interval in standard errors; NaN without a degree of freedom."""
    return float(stdtrit(df, 1 - level / 2)) if df > 0 else np.nan


def null_band(null: np.ndarray, level: float = ALPHA) -> tuple[float, float]:
    """The band that a statistic leaves with probability ``level`` under its null, by Student's t.

    Quantiles of the resamples would be too narrow where few clusters make up much of the statistic: random signs of a
    few large parts have short tails.

    Args:
        null: [resamples], the statistic under its null.
    """
    width = student_quantile(len(null) - 1, level) * null.std(ddof=1)
    return float(null.mean() - width), float(null.mean() + width)


def null_p(value: float, null: np.ndarray) -> float:
    """Two-sided p of a statistic, from Student's t about the resamples of its null [resamples]."""
    spread = null.std(ddof=1)
    return float(2 * stdtr(len(null) - 1, -abs(value - null.mean()) / spread)) if spread > 0 else np.nan
