"""Correlations of pairs of units jackknifed over runs of whole documents."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layerscope.extract.activation_shards import LayerReader

RUNS = 10
TOKENS_AT_ONCE = 4096  # read, and multiplied
PIECE = 64  # tokens whose values stay in the cache, and are added in float32
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

    def rows(self, reader: LayerReader, at_once: int) -> Iterator[np.ndarray]:
        """Activations of the tokens that take part: float32 [tokens, neurons] of each of the :meth:`blocks`."""
        ranges = [(at, min(at + at_once, len(self.keep))) for at in range(0, len(self.keep), at_once)]
        for (at, upto), rows in zip(ranges, reader.rows(ranges), strict=True):
            yield rows[self.keep[at:upto]]

    def blocks(self, at_once: int) -> Iterator[slice]:
        """Which of the tokens that take part are among each ``at_once`` tokens of the sample."""
        for at in range(0, len(self.keep), at_once):
            yield slice(*np.searchsorted(self.places, (at, at + at_once)).tolist())

    def parts(self, block: slice, at_once: int) -> Iterator[tuple[int, slice]]:
        """Run and places within a block of :meth:`blocks`, of up to ``at_once`` tokens of one run at a time."""
        for run, (first, end) in enumerate(zip(self.stops - self.counts, self.stops, strict=True)):
            first, end = max(first, block.start), min(end, block.stop)
            for at in range(first, end, at_once):
                yield run, slice(at - block.start, min(at + at_once, end) - block.start)


@dataclass(frozen=True)
class Sums:
    """Sums over the tokens of each run, of units with means near zero: [runs, units]."""

    values: np.ndarray
    squares: np.ndarray

    @classmethod
    def zeros(cls, runs: int, units: int) -> "Sums":
        return cls(np.zeros((runs, units)), np.zeros((runs, units)))

    def add(self, run: int, rows: np.ndarray) -> None:
        """Rows [tokens, units] of a run, at most ``PIECE``."""
        self.values[run] += rows.sum(axis=0)
        self.squares[run] += np.einsum("tu,tu->u", rows, rows)

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
