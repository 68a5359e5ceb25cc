"""Activations of one layer to a table with one row per neuron, and the layer's histograms by length group."""

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.io.errors import UserError
from layerscope.io.files import read_json
from layerscope.stats.correlation import moments, pearson, spearman
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.length_groups import GROUPS, token_lengths


def correlate_layer(
    shards: list[str], manifests: list[str], vocabulary: pd.DataFrame, layer: int, bins: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Correlate the neurons of one layer with token length.

    Args:
        shards: activation shards of the sample, in order.
        manifests: their manifests, in the same order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.
        bins: of the histograms.

    Returns:
        The table of neurons: ``neuron``, ``mean``, ``std``, ``skewness``, ``kurtosis``, ``minimum``, ``maximum``,
        ``mean_short``, ``mean_median``, ``mean_long``, ``r_pearson``, ``r_spearman``, ``tokens``; and the table of
        bins: ``left``, ``right``, and the counts of activations ``short``, ``median``, ``long``, pooled over neurons.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        span = activation_range(manifests)
        edges = np.linspace(*span, bins + 1)
        sample = token_lengths(vocabulary, reader.tokens().input_ids)
        member = np.stack([sample.group == i for i in range(3)])
        with np.errstate(invalid="ignore"):
            weights = member.T / member.sum(axis=1)  # [tokens, 3]; NaN for an empty group
        counts = np.zeros((3, bins), dtype=np.int64)
        parts = []
        for start, values in reader.blocks(sample.keep):
            exact = values.astype(np.float64)
            for i in range(3):
                counts[i] += np.histogram(exact[:, member[i]], bins, span)[0]
            table = {"neuron": np.arange(start, start + len(values), dtype=np.int32), **moments(exact)}
            table |= {"minimum": values.min(axis=1), "maximum": values.max(axis=1)}
            table |= {f"mean_{group}": exact @ weights[:, i] for i, group in enumerate(GROUPS)}
            table |= {
                "r_pearson": pearson(exact, sample.lengths),
                "r_spearman": spearman(values, sample.lengths),
            }
            parts.append(pd.DataFrame(table))
    neurons = pd.concat(parts, ignore_index=True)
    neurons["tokens"] = len(sample.lengths)
    histogram = pd.DataFrame({"left": edges[:-1], "right": edges[1:]} | dict(zip(GROUPS, counts, strict=True)))
    if counts.sum() != len(neurons) * len(sample.lengths):
        raise UserError(f"{shards[0]}: activations lie outside the range of the manifests; delete it and run again")
    return neurons, histogram


def activation_range(manifests: list[str]) -> tuple[float, float]:
    """Smallest and largest activation of the site over all layers and shards of a model."""
    ranges = [
        (entry["minimum"], entry["maximum"])
        for manifest in manifests
        for name, entry in read_json(manifest)["datasets"].items()
        if name.startswith(f"{SITE}/")
    ]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
