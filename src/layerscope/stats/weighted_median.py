"""The median of weighted values."""

import numpy as np


def weighted_median(values: np.ndarray, counts: np.ndarray) -> float:
    """The median over tokens of ``values`` [types], each of which occurs ``counts`` [types] times; NaN for none."""
    total = int(counts.sum())
    if not total:
        return np.nan
    order = np.argsort(values, kind="stable")
    middle = np.searchsorted(counts[order].cumsum(), [(total - 1) // 2, total // 2], side="right")
    return float(values[order][middle].mean())
