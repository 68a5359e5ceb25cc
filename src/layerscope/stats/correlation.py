"""Statistics of many neurons at once, in float64, from values centred before they are multiplied."""

import numpy as np
import pandas as pd


def varies(rows: np.ndarray) -> np.ndarray:
    """Which rows [neurons, n] hold different values: [neurons], bool.

    Compares the values themselves: the mean of equal values may be rounded, and then they seem to vary.
    """
    result = (rows[:, :8] != rows[:, :1]).any(axis=1)  # of most of them the first values are enough
    for row in np.flatnonzero(~result):
        result[row] = (rows[row] != rows[row, :1]).any()
    return result


def spearman(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each row with ``y``: Pearson's r of the ranks, ties at their mean rank.

    Sums of ranks minus their mean, multiples of one half, are exact.

    Args:
        rows: [neurons, n].
        y: [n].

    Returns:
        [neurons]; NaN for a row that does not vary or holds NaN, and everywhere if ``y`` does not vary.
    """
    of_y = pd.Series(y).rank().to_numpy() - (len(y) + 1) / 2
    squares = of_y @ of_y
    r = np.empty(len(rows))
    for i, row in enumerate(rows):  # one by one, they stay in the cache
        order = _order(row)
        ranks = _ranks_of_sorted(row[order])
        with np.errstate(divide="ignore", invalid="ignore"):
            r[i] = ranks @ of_y[order] / np.sqrt(ranks @ ranks * squares)
    return np.where(np.isnan(rows).any(axis=1), np.nan, np.clip(r, -1.0, 1.0))


def _order(row: np.ndarray) -> np.ndarray:
    """The order that sorts a row [n], among equal values any.

    Float32 values are sorted as whole numbers of 64 bits, each followed by its place, in half the time of an argsort.
    """
    if row.dtype != np.float32:
        return np.argsort(row)
    bits = row.view(np.int32)
    # As whole numbers, negative floats are in the opposite order, unless all bits but the sign's are turned.
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    keys <<= 32
    keys |= np.arange(len(row))
    keys.sort()
    keys &= 0xFFFFFFFF
    return keys


def _ranks_of_sorted(values: np.ndarray) -> np.ndarray:
    """Ranks of sorted values [n], ties at their mean rank, minus the mean of all ranks."""
    n = len(values)
    differs = values[1:] != values[:-1]
    if differs.all():
        return np.arange(n) - (n - 1) / 2
    first = np.flatnonzero(np.r_[True, differs])
    sizes = np.diff(np.r_[first, n])
    return np.repeat(first + (sizes - 1) / 2 - (n - 1) / 2, sizes)


def moments(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, standard deviation (n - 1), skewness and excess kurtosis (biased, as scipy's default) of each row.

    Args:
        rows: [neurons, n].

    Returns:
        Arrays [neurons]; skewness and kurtosis are NaN for a row that does not vary.
    """
    rows = np.asarray(rows, dtype=np.float64)
    mean = rows.mean(axis=1)
    of_centred = central_moments(rows - mean[:, None])
    vary = varies(rows)
    for name in ("skewness", "kurtosis"):
        of_centred[name] = np.where(vary, of_centred[name], np.nan)
    return {"mean": mean, **of_centred}


def central_moments(rows: np.ndarray) -> dict[str, np.ndarray]:
    """As :func:`moments`, of rows [neurons, n] whose mean is zero.

    Skewness and kurtosis of a row that does not vary are those of rounding errors, or NaN.
    """
    n = rows.shape[1]
    squares = rows * rows
    m2 = squares.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.einsum("ij,ij->i", squares, rows) / n / m2**1.5
        kurtosis = np.einsum("ij,ij->i", squares, squares) / n / m2**2 - 3
    return {"std": np.sqrt(m2 * n / (n - 1)), "skewness": skewness, "kurtosis": kurtosis}
