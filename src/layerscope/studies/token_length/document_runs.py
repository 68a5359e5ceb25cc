"""Correlations of pairs of units jackknifed over runs of whole documents."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layerscope.extract.activation_shards import LayerReader

RUNS = 10
TOKENS_AT_ONCE = 2048
NOTHING_LEFT = 1e-6  # share of a variance below which what is left of it is rounding


class Runs:
    """Runs of consecutive documents with about as many tokens each.

    Args:
        document: [tokens], number of each token's document, which never falls.
        keep: [tokens], bool, which tokens take part. With fewer documents than ``RUNS``, each is a run.
    """

    def __init__(self, document: np.ndarray, keep: np.ndarray) -> None:
        self.keep, self.places = keep, np.flatnonzero(keep)
        _, document, sizes = np.unique(document[keep], return_inverse=True, return_counts=True)
        run = np.arange(len(sizes))
        if len(sizes) > RUNS:
            middle = sizes.cumsum() - sizes / 2
            _, run = np.unique((middle * RUNS / sizes.sum()).astype(int), return_inverse=True)
        self.counts = np.bincount(run[document])
        self.stops = self.counts.cumsum()

    def __len__(self) -> int:
        return len(self.counts)

    def rows(self, reader: LayerReader) -> Iterator[tuple[int, np.ndarray]]:
        """Activations of the tokens that take part: the run, and float32 [tokens, neurons], in blocks of tokens."""
        ranges, of = [], []
        for run, (start, stop) in enumerate(zip(self.stops - self.counts, self.stops, strict=True)):
            first, end = self.places[start], self.places[stop - 1] + 1
            for at in range(first, end, TOKENS_AT_ONCE):
                ranges.append((at, min(at + TOKENS_AT_ONCE, end)))
                of.append(run)
        for run, (at, upto), rows in zip(of, ranges, reader.rows(ranges), strict=True):
            yield run, rows[self.keep[at:upto]]


@dataclass(frozen=True)
class Sums:
    """Sums over the tokens of each run, of units with means near zero: [runs, units]."""

    values: np.ndarray
    squares: np.ndarray

    @classmethod
    def zeros(cls, runs: int, units: int) -> "Sums":
        return cls(np.zeros((runs, units)), np.zeros((runs, units)))

    def add(self, run: int, rows: np.ndarray) -> None:
        """Rows [tokens, units] of a run."""
        self.values[run] += rows.sum(axis=0, dtype=np.float64)
        self.squares[run] += np.square(rows).sum(axis=0, dtype=np.float64)

    def of(self, units: np.ndarray | slice) -> "Sums":
        return Sums(self.values[:, units], self.squares[:, units])

    def mean(self, counts: np.ndarray) -> np.ndarray:
        """[units]."""
        return self.values.sum(axis=0) / counts.sum()

    def variance(self, counts: np.ndarray) -> np.ndarray:
        """[units]; NaN where it is rounding."""
        square = self.squares.sum(axis=0) / counts.sum()
        variance = square - self.mean(counts) ** 2
        return np.where(variance > NOTHING_LEFT * square, variance, np.nan)

    def moments_without(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances with each run left out; no variance (NaN) where what is left of it is rounding."""
        n = counts.sum() - counts[:, None]
        mean, square = ((sums.sum(axis=0) - sums) / n for sums in (self.values, self.squares))
        variance = square - mean**2
        return mean, np.where(variance > NOTHING_LEFT * self.squares.sum(axis=0) / counts.sum(), variance, np.nan)


def r_without(counts: np.ndarray, x: Sums, y: Sums, products: np.ndarray) -> np.ndarray:
    """Pearson's r of pairs of units with each run left out: [runs, pairs].

    Args:
        counts: [runs], tokens.
        x: sums of the first unit of each pair.
        y: sums of the second.
        products: [runs, pairs], sums of their products.

    Returns:
        NaN where nothing is left, or a unit does not vary on what is left.
    """
    n, xy = counts.sum() - counts[:, None], products.sum(axis=0, dtype=np.float64) - products
    with np.errstate(divide="ignore", invalid="ignore"):
        (x_mean, x_variance), (y_mean, y_variance) = (sums.moments_without(counts) for sums in (x, y))
        return np.clip((xy / n - x_mean * y_mean) / np.sqrt(x_variance * y_variance), -1, 1)
