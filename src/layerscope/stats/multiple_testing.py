"""The level of intervals and tests, and many neurons tested at once."""

import numpy as np
from scipy.stats import false_discovery_control, t

ALPHA = 0.05


def student_quantile(df: float, level: float = ALPHA) -> float:
    """How many standard errors a two-sided interval reaches; NaN without a degree of freedom."""
    return float(t.ppf(1 - level / 2, df)) if df > 0 else np.nan


def null_band(resamples: np.ndarray, level: float = ALPHA) -> tuple[float, float]:
    """The band that a statistic leaves with a probability of ``level`` under its null: of Student's t.

    Quantiles of the resamples would be too near where few clusters make up much of the statistic: random signs of a few
    large parts have short tails.

    Args:
        resamples: [resamples], of the null.
    """
    half_width = student_quantile(len(resamples) - 1, level) * resamples.std(ddof=1)
    return float(resamples.mean() - half_width), float(resamples.mean() + half_width)


def p_of_resamples(value: float, resamples: np.ndarray) -> float:
    """Two-sided p of a statistic, against Student's t about the ``resamples`` [resamples] of its null."""
    spread = resamples.std(ddof=1)
    return float(2 * t.sf(abs(value - resamples.mean()) / spread, len(resamples) - 1)) if spread > 0 else np.nan


def share(passed: np.ndarray) -> float:
    return float(np.mean(passed)) if len(passed) else np.nan


def at_least(share: float, level: float) -> float:
    """A lower bound, with 95 % confidence, of the share of alternatives that are true, if ``share`` has p <= ``level``.

    Of true nulls, ``level`` pass on average. So by Markov's inequality more than level / 5 % of them pass with a
    probability of at most 5 %, whatever the dependence of the tests.
    """
    return float(np.clip(share - level / ALPHA, 0, None))


def passes(p: np.ndarray, method: str) -> np.ndarray:
    """Which of ``p`` pass at a false discovery rate of 5 % when they are tested at once, by bh or by; NaN does not."""
    passed, tested = np.zeros(len(p), dtype=bool), np.flatnonzero(~np.isnan(p))
    if len(tested):
        passed[tested] = false_discovery_control(p[tested], method=method) <= ALPHA
    return passed
