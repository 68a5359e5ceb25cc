"""Many neurons tested at once."""

import numpy as np
from scipy.stats import false_discovery_control

from layerscope.stats.intervals import ALPHA


def share(passed: np.ndarray) -> float:
    return float(np.mean(passed)) if len(passed) else np.nan


def at_least(share: float, level: float) -> float:
    """A lower bound, with 95% confidence, of the share of alternatives that are true, if ``share`` has p <= ``level``.

    Of true nulls, ``level`` pass on average. So by Markov's inequality more than ``level`` / 5% of them pass with
    probability at most 5%, whatever the dependence of the tests.
    """
    return float(np.clip(share - level / ALPHA, 0, None))


def passes(p: np.ndarray, method: str) -> np.ndarray:
    """Which of ``p`` pass at a false discovery rate of 5% when they are tested at once, by bh or by; NaN does not."""
    passed, tested = np.zeros(len(p), dtype=bool), np.flatnonzero(~np.isnan(p))
    if len(tested):
        passed[tested] = false_discovery_control(p[tested], method=method) <= ALPHA
    return passed
