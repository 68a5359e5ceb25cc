"""Figures of the sample's lengths and of activations by length."""

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    ONE_COLUMN,
    TWO_COLUMNS,
    figure,
    height_of_models,
    legend_below,
    letter,
    panels_of_models,
    percent_axis,
)
from layerscope.studies.token_length.length_group_style import GROUP_COLOURS, GROUP_NAMES, densities
from layerscope.studies.token_length.length_groups import GROUPS, POOLED, token_lengths


def draw_token_lengths(outputs: list[str], vocabularies: dict[str, pd.DataFrame]) -> None:
    """How many tokens of each length the sample holds, coloured by group; one panel per tokenizer.

    Args:
        vocabularies: tokenizer → its vocabulary table with counts in the sample.
    """
    with figure(outputs, ONE_COLUMN * len(vocabularies), 2.2) as drawn:
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
        letter(axes)


def draw_activations(
    outputs: list[str],
    layer: int,
    histograms: dict[str, pd.DataFrame],
    standardised: dict[str, pd.DataFrame],
) -> None:
    """Activations of one layer, pooled over neurons, by length group: in the model's own units, and standardised.

    Args:
        histograms: model → table of bins of :func:`token_length.correlate_layer.correlate_layer`.
        standardised: model → table of histograms of :func:`token_length.unimodality_test.unimodality_tests`.
    """
    labels = ("density", "density")
    with figure(outputs, TWO_COLUMNS, height_of_models(histograms, 2, 1.6)) as drawn:
        for model, (raw, scaled) in panels_of_models(drawn, histograms, labels, shared=False):
            histogram = histograms[model]
            densities(raw, visible_bins(histogram))
            counts, centres = (
                histogram[list(GROUPS)].to_numpy(),
                (histogram["left"] + histogram["right"]).to_numpy() / 2,
            )
            for group, column in zip(GROUPS, counts.T, strict=True):
                if column.any():
                    mean = centres @ column / column.sum()
                    raw.axvline(mean, color=GROUP_COLOURS[group], linestyle="--", linewidth=0.8)
            raw.set_title(f"{model}, layer {layer}")
            raw.set_xlabel("pre-activation (model's units)")
            pooled = standardised[model]
            pooled = pooled[pooled["neuron"] == POOLED]
            densities(scaled, pooled[np.isfinite(pooled["left"]) & np.isfinite(pooled["right"])])
            scaled.set_xlabel("z-scored pre-activation (sd)")
        entries = zip(*raw.get_legend_handles_labels(), strict=True)
        legend_below(drawn, [(handle, f"tokens {label}") for handle, label in entries])


def visible_bins(histogram: pd.DataFrame) -> pd.DataFrame:
    """The bins that hold all but the outermost thousandth, joined so that about 120 are left."""
    counts = histogram[list(GROUPS)].to_numpy()
    share = counts.sum(axis=1).cumsum() / counts.sum()
    low, high = np.searchsorted(share, [0.0005, 0.9995])
    joined = max(1, ceil((high - low + 1) / 120))
    start, stop = low // joined * joined, min(len(counts), ceil((high + 1) / joined) * joined)
    bins = histogram.iloc[start:stop].groupby(np.arange(stop - start) // joined)
    return bins.agg({"left": "first", "right": "last", **dict.fromkeys(GROUPS, "sum")})
