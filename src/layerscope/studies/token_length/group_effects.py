"""How activations of long tokens differ from those of short ones: shift and overlap; and the kurtosis of neurons."""

import numpy as np
import pandas as pd

from layerscope.stats.correlation import moments
from layerscope.stats.jackknife import Groups, Jackknife
from layerscope.studies.token_length.summaries_over_neurons import jackknife_median, table_of

LIMIT, BINS = 6.0, 24  # of the histograms whose overlap is taken, in standard deviations; the end bins hold the rest


class GroupEffects:
    """Shift, overlap and kurtosis of a layer, from its standardised neurons, block after block.

    Args:
        group: [tokens], 0 short, 1 median, 2 long.
        types: the tokens by type.
        documents: the jackknife over documents.
        signs: [types, resamples], of the null, see :mod:`token_length.sign_flip_null`.
    """

    def __init__(self, group: np.ndarray, types: Groups, documents: Jackknife, signs: np.ndarray) -> None:
        self.group, self.types, self.documents, self.signs = group, types, documents, signs
        self.arranged = documents.arranged(group)
        self.total, self.neurons = np.zeros(len(group)), 0
        self.overlaps = np.zeros(1 + len(documents.groups))  # summed over neurons: of the sample, and without a group
        self.kurtoses: list[np.ndarray] = []  # likewise, [neurons, 1 + groups]

    def add(self, rows: np.ndarray) -> None:
        """Take neurons [neurons, tokens], each of mean 0 and standard deviation 1."""
        if len(rows):
            self.total += rows.sum(axis=0)
            self.neurons += len(rows)
            self.overlaps += self.overlap(rows).sum(axis=0)
            self.kurtoses.append(self.kurtosis(rows))

    def overlap(self, rows: np.ndarray) -> np.ndarray:
        """Overlap of the histograms of short and of long tokens, Σ min(p, q) over bins of half a standard deviation.

        Returns:
            [neurons, 1 + groups]: of the sample, and with each group of documents left out; NaN without short or
            without long tokens.
        """
        counts = np.stack([self._histograms(rows, group) for group in (0, 2)])  # [2, neurons, groups, bins]
        whole = counts.sum(axis=2, keepdims=True)
        counts = np.concatenate([whole, whole - counts], axis=2)
        with np.errstate(invalid="ignore"):
            return (counts / counts.sum(axis=-1, keepdims=True)).min(axis=0).sum(axis=-1)

    def _histograms(self, rows: np.ndarray, group: int) -> np.ndarray:
        """Counts of the tokens of one length group in each group of documents: [neurons, groups, bins]."""
        member, groups = self.arranged == group, len(self.documents.groups)
        of = self.documents.arranged(self.documents.groups.labels)[member]
        values = self.documents.arranged(rows)[:, member]
        bins = np.clip((values + LIMIT) * (BINS / (2 * LIMIT)), 0, BINS - 1).astype(np.int64)
        cell = (np.arange(len(rows))[:, None] * groups + of) * BINS + bins
        return np.bincount(cell.ravel(), minlength=len(rows) * groups * BINS).reshape(len(rows), groups, BINS)

    def kurtosis(self, rows: np.ndarray) -> np.ndarray:
        """Excess kurtosis m₄/m₂² − 3: [neurons, 1 + groups], of the sample, and without each group of documents."""
        left, powers = [], self.documents.arranged(rows)
        tokens = self.documents.sums_of_arranged(np.ones(rows.shape[1]))
        product = powers
        for _ in range(4):
            with np.errstate(invalid="ignore"):  # of one document nothing is left
                left.append(self.documents.sums_of_arranged(product) / tokens)
            product = product * powers
        mean, second, third, fourth = left
        variance = second - mean**2
        m4 = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
        with np.errstate(divide="ignore", invalid="ignore"):
            without = np.where(variance > 0, m4 / variance**2 - 3, np.nan)
        return np.column_stack([moments(rows)["kurtosis"], without])

    def tables(self) -> list[pd.DataFrame]:
        """Rows of the table of resamples; NaN where no neuron varies."""
        shift = self._shift(self.total / self.neurons if self.neurons else np.full(len(self.total), np.nan))
        overlaps = self.overlaps / self.neurons if self.neurons else np.full(len(self.overlaps), np.nan)
        if self.kurtoses:
            kurtoses = np.concatenate(self.kurtoses)
            kurtoses = kurtoses[~np.isnan(kurtoses).any(axis=1)]
        if self.kurtoses and len(kurtoses):
            without = jackknife_median(kurtoses[:, 0], kurtoses[:, 1:] - kurtoses[:, :1])
            kurtosis = {"observed": np.median(kurtoses[:, :1], axis=0), "jackknife": without}
        else:
            kurtosis = {"observed": np.full(1, np.nan), "jackknife": np.full(len(self.overlaps) - 1, np.nan)}
        tables = [table_of({"mean": values}, "shift", kind) for kind, values in shift.items()]
        tables += [table_of({"median": values}, "kurtosis", kind) for kind, values in kurtosis.items()]
        return [
            *tables,
            table_of({"mean": overlaps[:1]}, "overlap", "observed"),
            table_of({"mean": overlaps[1:]}, "overlap", "jackknife"),
        ]

    def _shift(self, activation: np.ndarray) -> dict[str, np.ndarray]:
        """Mean ``activation`` [tokens] of long tokens minus that of short ones: kind → [resamples], one where
        observed.

        NaN where a group has no tokens.
        """
        long, short = ((self.group == group).astype(np.float64) for group in (2, 0))
        without = self.documents.sums
        with np.errstate(invalid="ignore"):
            parts = self.types.sums(activation * (long / long.sum() - short / short.sum()))
            return {
                "observed": parts.sum(keepdims=True),
                "null": parts @ self.signs,
                "jackknife": without(activation * long) / without(long) - without(activation * short) / without(short),
            }
