"""One layer to a table with one row per neuron, and the layer's histograms by length group."""

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.io.errors import UserError
from layerscope.io.files import read_json
from layerscope.stats.correlation import spearman
from layerscope.stats.few_rows import few_rows
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.length_groups import GROUPS, token_lengths
from layerscope.studies.token_length.neuron_moments import moments, varies
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.summary_shards import LayerSummary, read_layer_summary


def correlate_layer(
    summaries: list[str], shards: list[str], manifests: list[str], vocabulary: pd.DataFrame, layer: int, bins: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Correlate the neurons of one layer with token length.

    Args:
        summaries: summary shards of the sample, in order.
        shards: activation shards of the stored sample, in order.
        manifests: their manifests, in the same order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.
        bins: of the histograms.

    Returns:
        The table of neurons: ``neuron``, ``mean``, ``std``, ``skewness``, ``kurtosis``, ``minimum``, ``maximum``,
        ``mean_short``, ``mean_median``, ``mean_long``, ``r_pearson``, and ``tokens``, how many they rest on;
        ``r_spearman`` and ``tokens_stored`` of the stored sample. And the table of bins: ``left``, ``right``, and the
        counts of stored activations ``short``, ``median``, ``long``, pooled over neurons.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        summary = read_layer_summary(summaries, layer, [vocabulary], reader)
        neurons = neurons_table(summary, vocabulary)
        span = activation_range(manifests)
        edges = np.linspace(*span, bins + 1)
        sample = token_lengths(vocabulary, reader.tokens().input_ids)
        groups = [np.flatnonzero(sample.group == i) for i in range(3)]
        counts = np.zeros((3, bins), dtype=np.int64)
        rho = []
        for _, values in reader.blocks(sample.keep):
            for rows in few_rows(values):
                for i, members in enumerate(groups):
                    counts[i] += np.histogram(rows.take(members, axis=1).astype(np.float64), bins, span)[0]
            rho.append(spearman(values, sample.lengths))
    histogram = pd.DataFrame({"left": edges[:-1], "right": edges[1:]} | dict(zip(GROUPS, counts, strict=True)))
    if counts.sum() != len(neurons) * len(sample.lengths):
        raise UserError(f"{shards[0]}: activations lie outside the range of the manifests; delete it and run again")
    return neurons.assign(r_spearman=np.concatenate(rho), tokens_stored=len(sample.lengths)), histogram


def neurons_table(summary: LayerSummary, vocabulary: pd.DataFrame) -> pd.DataFrame:
    """The columns of the table of neurons that come from a layer's summary."""
    tokens, sums = summary.tokens, summary.neurons
    token_types = int(summary.attributes["token_types"])
    regressions = TokenRegressions(tokens, summary.covariates, vocabulary, token_types, "characters", "line")
    table = {"neuron": np.arange(len(sums.pilot), dtype=np.int32), **moments(tokens, sums)}
    products = regressions.measures["r"].weights @ sums.cluster_sums[:, : len(regressions.names)].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = products / (table["std"] * np.sqrt(tokens.tokens - 1))
    table |= {"minimum": sums.least_value[0], "maximum": sums.most_value[0]}
    for side, name in zip((-1, 0, 1), GROUPS, strict=True):
        group = regressions.side == side
        with np.errstate(invalid="ignore"):  # NaN for an empty group
            of_group = sums.class_sums[group].sum(axis=0) / tokens.class_counts[group].sum()
        table[f"mean_{name}"] = sums.pilot + of_group
    table["r_pearson"] = np.where(varies(sums), np.clip(r, -1, 1), np.nan)
    return pd.DataFrame(table).assign(tokens=tokens.tokens)


def activation_range(manifests: list[str]) -> tuple[float, float]:
    """Smallest and largest activation of the site over all layers and shards of a model."""
    ranges = [
        (entry["minimum"], entry["maximum"])
        for manifest in manifests
        for name, entry in read_json(manifest)["datasets"].items()
        if name.startswith(f"{SITE}/")
    ]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
