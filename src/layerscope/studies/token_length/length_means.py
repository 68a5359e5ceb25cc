"""Each neuron's mean activation at tokens of one length, with its interval for other text."""

import numpy as np
import pandas as pd

from layerscope.stats.document_clusters import CLUSTERS, document_clusters
from layerscope.stats.jackknife import Groups, effective_number
from layerscope.stats.jackknife_interval import half_width


class LengthMeans:
    """Means by token length of neurons that are given block after block.

    Args:
        lengths: [tokens], characters of the tokens that take part.
        document: [tokens], of each.
    """

    def __init__(self, lengths: np.ndarray, document: np.ndarray) -> None:
        self.lengths, of_length, self.tokens = np.unique(lengths, return_inverse=True, return_counts=True)
        self.cells = Groups(of_length * CLUSTERS + document_clusters(document))  # by length, then by cluster
        self.stops = np.bincount(of_length[self.cells.first]).cumsum()
        self.found: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Take the next neurons, [neurons, tokens]."""
        sums, sizes = self.cells.sums(rows), self.cells.sizes
        found = np.empty((len(rows), len(self.lengths), 3))
        for i, (start, stop) in enumerate(zip([0, *self.stops], self.stops, strict=False)):
            found[:, i] = self._of_length(sums[:, start:stop], sizes[start:stop])
        self.found.append(found)

    @staticmethod
    def _of_length(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Mean and the ends of its interval, [neurons, 3], from the sums over clusters that have tokens of a length."""
        total, tokens = sums.sum(axis=1), sizes.sum()
        mean, width = total / tokens, np.full(len(sums), np.nan)
        if len(sizes) > 1:
            width = half_width((total[:, None] - sums) / (tokens - sizes), effective_number(sizes) - 1)
        return np.column_stack([mean, mean - width, mean + width])

    def table(self) -> pd.DataFrame:
        """One row per neuron and length: ``neuron``, ``length``, ``tokens`` of it, ``mean``, ``low`` and ``high``.

        The 95% interval is a jackknife over those clusters of documents that have such tokens; NaN where that is one.
        """
        found = np.concatenate(self.found)
        neurons = len(found)
        table = {
            "neuron": np.repeat(np.arange(neurons, dtype=np.int32), len(self.lengths)),
            "length": np.tile(self.lengths.astype(np.int32), neurons),
            "tokens": np.tile(self.tokens, neurons),
        }
        columns = found.reshape(-1, 3).astype(np.float32).T
        return pd.DataFrame(table | dict(zip(("mean", "low", "high"), columns, strict=True)))
