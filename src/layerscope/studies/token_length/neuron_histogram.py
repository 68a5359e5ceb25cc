"""The histogram of each neuron by length group."""

import numpy as np
import pandas as pd

from layerscope.stats.bins import bins_of
from layerscope.stats.few_rows import few_rows
from layerscope.studies.token_length.length_groups import GROUPS

BINS = 40


class NeuronHistograms:
    """Histograms of neurons that are given block after block.

    Args:
        group: [tokens], 0 short, 1 median, 2 long.
    """

    def __init__(self, group: np.ndarray) -> None:
        self.group = group.astype(np.intp)
        self.counts: list[np.ndarray] = []
        self.ends: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Take the next neurons, [neurons, tokens]."""
        for some in few_rows(rows):
            low, high = some.min(axis=1), some.max(axis=1)
            values, low, high = some.astype(np.float64), low.astype(np.float64), high.astype(np.float64)
            width = np.where(high > low, (high - low) / BINS, 1)
            bins = bins_of(values, low[:, None], width[:, None], BINS - 1)
            bins += (np.arange(len(some))[:, None] * len(GROUPS) + self.group) * BINS
            counts = np.bincount(bins.ravel(), minlength=len(some) * len(GROUPS) * BINS)
            self.counts.append(counts.reshape(len(some), len(GROUPS), BINS).astype(np.int32))
            self.ends.append(np.column_stack([low, high]))

    def table(self) -> pd.DataFrame:
        """One row per neuron and bin: ``neuron``, edges ``left`` and ``right``, counts ``short``, ``median``, ``long``.

        Bins are of equal width, from the smallest value to the largest; if these are equal, all are in the first.
        """
        counts, (low, high) = np.concatenate(self.counts), np.concatenate(self.ends).T
        edges = np.linspace(low, high, BINS + 1, axis=1).astype(np.float32)
        table = {
            "neuron": np.repeat(np.arange(len(counts), dtype=np.int32), BINS),
            "left": edges[:, :-1].ravel(),
            "right": edges[:, 1:].ravel(),
        }
        return pd.DataFrame(table | {name: counts[:, i].ravel() for i, name in enumerate(GROUPS)})
