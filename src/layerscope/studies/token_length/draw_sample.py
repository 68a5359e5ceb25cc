"""Figures of the sample's lengths and of activations by length."""

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import figure, percent_axis
from layerscope.studies.token_length.length_group_style import GROUP_COLOURS, GROUP_NAMES, densities
from layerscope.studies.token_length.length_groups import GROUPS, POOLED, token_lengths


def draw_token_lengths(outputs: list[str], vocabularies: dict[str, pd.DataFrame]) -> None:
    """How many tokens of each length the sample holds, coloured by group; one panel per tokenizer.

    Args:
        vocabularies: tokenizer → its vocabulary table with counts in the sample.
    """
    with figure(outputs, 5.2 * len(vocabularies), 3.2) as drawn:
        axes = drawn.subplots(1, len(vocabularies), squeeze=False)[0]
        for ax, (tokenizer, vocabulary) in zip(axes, vocabularies.items(), strict=True):
            sample = token_lengths(vocabulary, np.repeat(vocabulary["token_id"], vocabulary["count"]))
            total = len(sample.lengths)
            lengths, counts = np.unique(sample.lengths, return_counts=True)
            for i, (group, in_group) in enumerate(sample.counts.items()):
                chosen = np.sign(lengths - sample.median) + 1 == i
                label = f"{GROUP_NAMES[group]} ({in_group / total:.1%})"
                ax.bar(lengths[chosen], counts[chosen] / total, color=GROUP_COLOURS[group], label=label, width=0.85)
            ax.set_xlabel("token length (characters, leading space included)")
            ax.set_ylabel("share of tokens")
            percent_axis(ax.yaxis)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.set_xlim(0.3)
            ax.set_title(f"tokenizer {tokenizer}: n = {total:,} tokens, median {sample.median:g}")
            ax.legend()


def draw_activations(
    outputs: list[str], model: str, layer: int, histogram: pd.DataFrame, standardised: pd.DataFrame
) -> None:
    """Activations of one layer, pooled over neurons, by length group: in the model's own units, and standardised.

    Args:
        histogram: table of bins of :func:`token_length.correlate_layer.correlate_layer`.
        standardised: table of histograms of :func:`token_length.unimodality_test.unimodality_tests`.
    """
    bins = visible_bins(histogram)
    counts = histogram[list(GROUPS)].to_numpy()
    centres = (histogram["left"] + histogram["right"]).to_numpy() / 2
    pooled = standardised[standardised["neuron"] == POOLED]
    within = pooled[np.isfinite(pooled["left"]) & np.isfinite(pooled["right"])]
    with figure(outputs, 9.2, 3.6) as drawn:
        raw, scaled = drawn.subplots(1, 2)
        densities(raw, bins)
        for group, column in zip(GROUPS, counts.T, strict=True):
            if column.any():
                mean = centres @ column / column.sum()
                raw.axvline(mean, color=GROUP_COLOURS[group], linestyle="--", linewidth=1)
        raw.set_xlabel("MLP pre-activation (model's own units; dashed: mean of the group)")
        raw.set_title(f"{model}, layer {layer}: n = {counts.sum():,} activations\n{_outside(bins, histogram)}")
        densities(scaled, within)
        scaled.set_xlabel("(activation − mean) / standard deviation of the neuron")
        scaled.set_title(f"z-scored neuron by neuron\n{_outside(within, pooled)}")
        for ax in (raw, scaled):
            ax.set_ylabel("density")
        drawn.legend(*raw.get_legend_handles_labels(), title="tokens", loc="outside lower center", ncols=3)


def _outside(shown: pd.DataFrame, bins: pd.DataFrame) -> str:
    """How many of all values the axis does not show; a share of so few would be rounded to nothing."""
    total = bins[list(GROUPS)].to_numpy().sum()
    beyond = total - shown[list(GROUPS)].to_numpy().sum()
    return f"beyond the ends of the axis: {beyond:,} of {total:,}"


def visible_bins(histogram: pd.DataFrame) -> pd.DataFrame:
    """The bins that hold all but the outermost thousandth, joined so that about 120 are left."""
    counts = histogram[list(GROUPS)].to_numpy()
    share = counts.sum(axis=1).cumsum() / counts.sum()
    low, high = np.searchsorted(share, [0.0005, 0.9995])
    joined = max(1, ceil((high - low + 1) / 120))
    start, stop = low // joined * joined, min(len(counts), ceil((high + 1) / joined) * joined)
    bins = histogram.iloc[start:stop].groupby(np.arange(stop - start) // joined)
    return bins.agg({"left": "first", "right": "last", **dict.fromkeys(GROUPS, "sum")})
