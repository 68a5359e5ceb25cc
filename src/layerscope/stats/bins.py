"""Bins of equal width, whose ends hold what lies beyond."""

import numpy as np


def bins_of(values: np.ndarray, low: float | np.ndarray, width: float | np.ndarray, last: int) -> np.ndarray:
    """The bin of each value, from 0, which begins at ``low``, to ``last``; the shape is that of ``values``.

    Args:
        values: which are overwritten.
        low: of all values, or of each row, [rows, 1]; ``width`` likewise.
    """
    values -= low
    values /= width
    return np.clip(values, 0, last, out=values).astype(np.intp)
