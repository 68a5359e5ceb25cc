"""The level of intervals and tests, and many neurons tested at once."""

import numpy as np
from scipy.stats import false_discovery_control, t

ALPHA = 0.05


def student_quantile(freedom: float, level: float = ALPHA) -> float:
    """How many standard errors a two-sided interval reaches; NaN without a degree of freedom."""
    return float(t.ppf(1 - level / 2, freedom)) if freedom > 0 else np.nan


def share(passed: np.ndarray) -> float:
    return float(np.mean(passed)) if len(passed) else np.nan


def passes(p: np.ndarray, method: str) -> np.ndarray:
    """Which of ``p`` pass at 5 % when they are tested at once; NaN does not.

    Args:
        method: bh or by (false discovery rate), or holm (any false pass): the number that pass by Holm (1979) is a
            lower bound of how many alternatives are true, with 95 % confidence and whatever their dependence.
    """
    passed, tested = np.zeros(len(p), dtype=bool), np.flatnonzero(~np.isnan(p))
    if not len(tested):
        return passed
    if method == "holm":
        order = tested[np.argsort(p[tested])]
        fails = p[order] > ALPHA / np.arange(len(order), 0, -1)
        passed[order[: fails.argmax() if fails.any() else len(order)]] = True
    else:
        passed[tested] = false_discovery_control(p[tested], method=method) <= ALPHA
    return passed
