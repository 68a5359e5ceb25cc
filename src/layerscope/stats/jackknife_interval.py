"""Intervals of statistics from their jackknife."""

import numpy as np

from layerscope.stats.intervals import ALPHA, student_quantile
from layerscope.stats.jackknife import jackknife_error


def half_width(jackknife: np.ndarray, df: float, level: float = ALPHA) -> np.ndarray:
    """Half-width of the interval of a statistic: the jackknife's standard error times the quantile of Student's t.

    Args:
        jackknife: the statistic, [..., groups], with each group of clusters left out.
        df: degrees of freedom, the effective number of clusters minus one.
        level: the share of such intervals that miss.

    Returns:
        [...]; NaN without a degree of freedom.
    """
    return jackknife_error(jackknife) * student_quantile(df, level)
