"""How activations of long tokens differ from those of short ones: shift and overlap; and the kurtosis of neurons."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from layerscope.stats.bins import bins_of
from layerscope.stats.correlation import varies as rows_vary
from layerscope.stats.few_rows import few_rows
from layerscope.stats.jackknife import unit
from layerscope.studies.token_length.neuron_moments import kurtosis_without, moments, varies
from layerscope.studies.token_length.summaries_over_neurons import jackknife_median, table_of
from layerscope.summarize.neuron_sums import NeuronSums

if TYPE_CHECKING:
    from layerscope.studies.token_length.resample_layer import LayerResamples

LIMIT, BINS = 6.0, 24  # of the histograms whose overlap is taken, in standard deviations; the end bins hold the rest


class GroupEffects:
    """Shift, overlap and kurtosis of a layer, block after block.

    Args:
        layer: the resamples of the null and of the jackknife.
    """

    def __init__(self, layer: "LayerResamples") -> None:
        self.layer, self.stored, self.tokens = layer, layer.stored, layer.tokens
        names, name = layer.regressions.names, layer.regressions.names[layer.regressions.property]
        self.below, self.above = names.index(f"{name}_below"), names.index(f"{name}_above")
        # Standardised activations, summed over neurons: over the tokens of each class, and the short and the long ones
        # of each cluster.
        self.classes = np.zeros(len(self.tokens.classes))
        self.short, self.long = (np.zeros(len(self.tokens.clusters)) for _ in range(2))
        self.neurons = self.stored_neurons = 0  # that vary
        self.kurtoses: list[np.ndarray] = []  # [neurons, 1 + clusters]: of the sample, and without each cluster
        self.overlaps = np.zeros(1 + len(self.stored.documents.groups))  # likewise, summed over neurons
        # Short and long tokens, and where the histogram of each begins among those of both and all groups of documents.
        sides = [np.flatnonzero(self.stored.group == group) for group in (0, 2)]
        self.members, groups = np.concatenate(sides), self.stored.documents.groups
        side = np.repeat(range(2), [len(members) for members in sides])
        self.starts = BINS * (side * len(groups) + groups.labels[self.members])

    def add(self, sums: NeuronSums, rows: np.ndarray) -> None:
        """Take neurons: their sums, and their activations in the stored sample, [neurons, tokens]."""
        vary, n, of = varies(sums), self.tokens.tokens, moments(self.tokens, sums)
        mean, scale = (of["mean"] - sums.pilot)[vary], np.sqrt(n / (n - 1)) / of["std"][vary]
        self.neurons += len(mean)
        self.classes += (sums.class_sums[:, vary] - self.tokens.class_counts[:, None] * mean) @ scale
        for total, side in ((self.short, self.below), (self.long, self.above)):
            count = self.tokens.cluster_products[:, 0, side]
            total += (sums.cluster_sums[:, side][:, vary] - count[:, None] * mean) @ scale
        kurtosis = np.column_stack([of["kurtosis"], kurtosis_without(self.tokens, sums)])
        self.kurtoses.append(kurtosis[vary])
        varying = rows_vary(rows)
        if not varying.all():  # else without a copy
            rows = rows[varying]
        self.stored_neurons += len(rows)
        for some in few_rows(rows):
            self.overlaps += self.overlap(unit(some.astype(np.float64)) * np.sqrt(rows.shape[1])).sum(axis=0)

    def overlap(self, rows: np.ndarray) -> np.ndarray:
        """Overlap of the histograms of short and of long tokens, Σ min(p, q) over bins of half a standard deviation.

        Returns:
            [neurons, 1 + groups]: of the sample, and with each group of documents left out; NaN without short or
            without long tokens.
        """
        counts = self._histograms(rows)
        whole = counts.sum(axis=2, keepdims=True)
        counts = np.concatenate([whole, whole - counts], axis=2)
        with np.errstate(invalid="ignore"):
            return (counts / counts.sum(axis=-1, keepdims=True)).min(axis=0).sum(axis=-1)

    def _histograms(self, rows: np.ndarray) -> np.ndarray:
        """Counts of the short and of the long tokens in each group of documents: [2, neurons, groups, bins]."""
        shape = (2, len(self.stored.documents.groups), BINS)
        bins = bins_of(rows.take(self.members, axis=1), -LIMIT, 2 * LIMIT / BINS, BINS - 1)
        bins += self.starts
        counts = np.stack([np.bincount(row, minlength=np.prod(shape)) for row in bins])
        return counts.reshape(-1, *shape).swapaxes(0, 1)

    def tables(self) -> list[pd.DataFrame]:
        """Rows of the table of resamples; NaN where no neuron varies."""
        with np.errstate(invalid="ignore"):
            overlaps = self.overlaps / self.stored_neurons
        kurtoses = np.concatenate(self.kurtoses)
        kurtoses = kurtoses[~np.isnan(kurtoses).any(axis=1)]
        if len(kurtoses):
            without = jackknife_median(kurtoses[:, 0], kurtoses[:, 1:] - kurtoses[:, :1])
            kurtosis = {"observed": np.median(kurtoses[:, :1], axis=0), "jackknife": without}
        else:
            kurtosis = {"observed": np.full(1, np.nan), "jackknife": np.full(kurtoses.shape[1] - 1, np.nan)}
        tables = [table_of({"mean": values}, "shift", kind) for kind, values in self._shift().items()]
        tables += [table_of({"median": values}, "kurtosis", kind) for kind, values in kurtosis.items()]
        return [
            *tables,
            table_of({"mean": overlaps[:1]}, "overlap", "observed"),
            table_of({"mean": overlaps[1:]}, "overlap", "jackknife"),
        ]

    def _shift(self) -> dict[str, np.ndarray]:
        """Mean activation of long tokens minus that of short ones: kind → [resamples], one where observed.

        NaN where a group has no tokens.
        """
        side, counts = self.layer.regressions.side, self.tokens.class_counts
        short, long = (self.tokens.cluster_products[:, 0, name] for name in (self.below, self.above))
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = (side > 0) / counts[side > 0].sum() - (side < 0) / counts[side < 0].sum()
            parts = self.classes / self.neurons * weights
            jackknife = (self.long.sum() - self.long) / (long.sum() - long)
            jackknife -= (self.short.sum() - self.short) / (short.sum() - short)
            return {
                "observed": parts.sum(keepdims=True),
                "null": parts @ self.layer.signs,
                "jackknife": jackknife / self.neurons,
            }
