"""Figures of the sample's lengths and of activations by length."""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    ONE_COLUMN,
    figure,
    height_of_models,
    legend_below,
    letter,
    panels_of_models,
    percent_axis,
)
from layerscope.studies.series import Series
from layerscope.studies.token_length.length_group_style import GROUP_COLOURS, GROUP_NAMES, densities, density
from layerscope.studies.token_length.length_groups import GROUPS, POOLED, token_lengths
from layerscope.training_axis import Part, TrainingAxis, figure_of_parts, not_in


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
    series: Sequence[Series] = (),
) -> None:
    """Activations of one layer, pooled over neurons, by length group: in the model's own units, and standardised.

    Args:
        histograms: model → table of bins of :func:`token_length.correlate_layer.correlate_layer`.
        standardised: model → table of histograms of :func:`token_length.unimodality_test.unimodality_tests`.
    """
    labels, models = ("density", "density"), not_in(series, list(histograms))
    with figure_of_parts(outputs, series, height_of_models(models, 2, 1.6), 3.2) as parts:
        for axis, part in parts.series:
            _activations_of_series(part, axis, layer, histograms, standardised, parts.marks)
        for model, (raw, scaled) in panels_of_models(parts.rest, models, labels, shared=False, marks=parts.marks):
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
            densities(scaled, _pooled(standardised[model]))
            scaled.set_xlabel("z-scored pre-activation (sd)")
        if models:
            entries = zip(*raw.get_legend_handles_labels(), strict=True)
            legend_below(parts.drawn, [(handle, f"tokens {label}") for handle, label in entries])


def _pooled(standardised: pd.DataFrame) -> pd.DataFrame:
    """The finite bins over all neurons."""
    pooled = standardised[standardised["neuron"] == POOLED]
    return pooled[np.isfinite(pooled["left"]) & np.isfinite(pooled["right"])]


def _activations_of_series(
    part: Part,
    axis: TrainingAxis,
    layer: int,
    histograms: dict[str, pd.DataFrame],
    standardised: dict[str, pd.DataFrame],
    marks: Iterator[str] | None,
) -> None:
    groups = {f"layer {layer}, tokens\n{GROUP_NAMES[group]}": group for group in GROUPS}
    panels = []
    for title, (raw, scaled) in panels_of_models(part, groups, ("density", "density"), shared=False, marks=marks):
        for ax, tables, bins_of in ((raw, histograms, visible_bins), (scaled, standardised, _pooled)):
            ends = []
            for model, style in axis.lines():
                edges = density(ax, bins_of(tables[model]), groups[title], color=style["color"], linewidth=0.9)
                ends += [edges[0], edges[-1]]
            ax.set_ylim(0)
            ax.set_xlim(min(ends), max(ends))
        raw.set_xlabel("pre-activation (model's units)")
        scaled.set_xlabel("z-scored pre-activation (sd)")
        panels += [raw, scaled]
    axis.colour_bar(part, panels)


def visible_bins(histogram: pd.DataFrame) -> pd.DataFrame:
    """The bins that hold all but the outermost thousandth, joined so that about 120 are left."""
    counts = histogram[list(GROUPS)].to_numpy()
    share = counts.sum(axis=1).cumsum() / counts.sum()
    low, high = np.searchsorted(share, [0.0005, 0.9995])
    joined = max(1, ceil((high - low + 1) / 120))
    start, stop = low // joined * joined, min(len(counts), ceil((high + 1) / joined) * joined)
    bins = histogram.iloc[start:stop].groupby(np.arange(stop - start) // joined)
    return bins.agg({"left": "first", "right": "last", **dict.fromkeys(GROUPS, "sum")})
