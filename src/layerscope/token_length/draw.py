"""Figures of the study."""

from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.stats import gaussian_kde

from layerscope.plotting import BLUE, GREEN, GREY, ORANGE, VERMILION, by_model, figure, relative_depth_axis
from layerscope.token_length.draw_groups import GROUP_COLOURS, GROUP_NAMES, densities
from layerscope.token_length.groups import GROUPS, POOLED, token_lengths
from layerscope.token_length.summaries import of_measure

R_LABEL = "Pearson r of activation and token length"
MEASURE_STYLES = {  # name → how it is called, colour, marker
    "r": ("over tokens", BLUE, "o"),
    "r_given_frequency": ("given log frequency", ORANGE, "s"),
    "r_given_all": ("given frequency, leading space, position", VERMILION, "^"),
    "r_types": ("over types", GREEN, "D"),
}


def draw_token_lengths(outputs: list[str], vocabularies: dict[str, pd.DataFrame]) -> None:
    """How many tokens of each length the sample holds, coloured by group; a panel a tokenizer.

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
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.set_xlim(0.3)
            ax.set_title(f"tokenizer {tokenizer}: n = {total:,} tokens, median {sample.median:g}")
            ax.legend()


def draw_activations(
    outputs: list[str], model: str, layer: int, histogram: pd.DataFrame, standardised: pd.DataFrame
) -> None:
    """Activations of one layer, pooled over its neurons, for the three groups of tokens: as they are, and standardised.

    Args:
        histogram: table of bins of :func:`layerscope.token_length.measure.measure_layer`.
        standardised: table of histograms of :func:`layerscope.token_length.modality.modality_of_layer`.
    """
    bins = visible_bins(histogram)
    counts = histogram[list(GROUPS)].to_numpy()
    centres = (histogram["left"] + histogram["right"]).to_numpy() / 2
    with figure(outputs, 9.2, 3.6) as drawn:
        raw, scaled = drawn.subplots(1, 2)
        densities(raw, bins)
        for group, column in zip(GROUPS, counts.T, strict=True):
            if column.any():
                mean = centres @ column / column.sum()
                raw.axvline(mean, color=GROUP_COLOURS[group], linestyle="--", linewidth=1)
        raw.set_xlabel("MLP pre-activation (model's own units; dashed: mean of the group)")
        outside = 1 - bins[list(GROUPS)].to_numpy().sum() / counts.sum()
        raw.set_title(f"{model}, layer {layer}: n = {counts.sum():,} activations\n{outside:.2%} lie outside the axis")
        densities(scaled, standardised[standardised["neuron"] == POOLED])
        scaled.set_xlabel("each neuron less its mean, in its standard deviations")
        scaled.set_title("standardised neuron by neuron")
        for ax in (raw, scaled):
            ax.set_ylabel("density")
        drawn.legend(*raw.get_legend_handles_labels(), title="tokens", loc="outside lower center", ncols=3)


def visible_bins(histogram: pd.DataFrame) -> pd.DataFrame:
    """The bins that hold all but the outermost thousandth, joined so that about 120 are left."""
    counts = histogram[list(GROUPS)].to_numpy()
    share = counts.sum(axis=1).cumsum() / counts.sum()
    low, high = np.searchsorted(share, [0.0005, 0.9995])
    joined = max(1, ceil((high - low + 1) / 120))
    start, stop = low // joined * joined, min(len(counts), ceil((high + 1) / joined) * joined)
    bins = histogram.iloc[start:stop].groupby(np.arange(stop - start) // joined)
    return bins.agg({"left": "first", "right": "last", **dict.fromkeys(GROUPS, "sum")})


def draw_r_by_layer(outputs: list[str], model: str, tables: list[pd.DataFrame], evidence: pd.DataFrame) -> None:
    """The distribution of r over neurons in every layer: as lines, and as a layer x r heatmap with the median.

    Args:
        tables: tables of neurons, in the order of the layers.
        evidence: evidence.csv.
    """
    r = [table["r_pearson"].dropna().to_numpy() for table in tables]
    reach = np.ceil(np.quantile(np.abs(np.concatenate(r)), 0.999) * 20) / 20
    at = np.linspace(-reach, reach, 241)
    # Scott's rule smooths the sampling noise of a few hundred neurons and keeps real humps.
    density = np.stack([gaussian_kde(values)(at) for values in r])
    with figure(outputs, 9.2, 3.6) as drawn:
        lines, heat = drawn.subplots(1, 2)
        colours = ScalarMappable(Normalize(0, max(len(r) - 1, 1)), "viridis")
        for layer, row in enumerate(density):
            lines.plot(at, row, color=colours.to_rgba(np.array(layer)), linewidth=1.2)
        lines.axvline(0, color=GREY, linewidth=0.8)
        lines.set_ylim(0)
        lines.xaxis.set_major_locator(MaxNLocator(7))
        lines.set_xlabel(R_LABEL)
        lines.set_ylabel("density over neurons")
        lines.set_title(f"{model}: {len(r[0]):,} neurons a layer, n = {tables[0]['tokens'].iloc[0]:,} tokens")
        bar = drawn.colorbar(colours, ax=lines, label="layer")
        bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))

        # Layers from the bottom up, as the stream runs.
        image = heat.pcolormesh(at, np.arange(len(r)), density, cmap="cividis", shading="nearest", rasterized=True)
        heat.plot(
            [np.median(values) for values in r], range(len(r)), "o-", color=VERMILION, markersize=3, label="median"
        )
        chance = of_measure(evidence, "r", "median", model)
        heat.hlines(
            chance["layer"],
            chance["chance_low"],
            chance["chance_high"],
            color="black",
            linewidth=1.6,
            label="median by chance (95 %)",
        )
        heat.axvline(0, color="white", linewidth=0.8, linestyle=":")
        heat.xaxis.set_major_locator(MaxNLocator(7))
        heat.set_xlabel(R_LABEL)
        heat.set_ylabel("layer")
        heat.yaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.legend(*heat.get_legend_handles_labels(), loc="outside lower right", ncols=2)
        drawn.colorbar(image, ax=heat, label="density over neurons")


def chance_band(ax: Axes, evidence: pd.DataFrame, model: str, statistic: str, colour: str) -> None:
    """What 95 % of the draws of chance give for a statistic of r, as a hatched band."""
    rows = of_measure(evidence, "r", statistic, model)
    band: Any = {"facecolor": "none", "edgecolor": colour, "hatch": "////", "linewidth": 0.0, "alpha": 0.45}
    ax.fill_between(rows["relative_depth"], rows["chance_low"], rows["chance_high"], **band)


def draw_r_across_models(outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame) -> None:
    """Median r with its quartile band, and the fraction of positive r, on relative depth; all models.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    with figure(outputs, 9.2, 3.4) as drawn:
        middle, positive = drawn.subplots(1, 2)
        for model, rows, style in by_model(layers):
            depth = rows["relative_depth"]
            middle.fill_between(depth, rows["r_q25"], rows["r_q75"], color=style["color"], alpha=0.2, linewidth=0)
            label = f"{model} ({rows['neurons'].iloc[0]:,} neurons a layer)"
            middle.plot(depth, rows["r_median"], **style, markersize=4, label=label)
            positive.plot(depth, rows["fraction_positive"], **style, markersize=4, label=model)
            chance_band(middle, evidence, model, "median", style["color"])
            chance_band(positive, evidence, model, "fraction_positive", style["color"])
        middle.axhline(0, color=GREY, linewidth=0.8)
        middle.set_ylabel("Pearson r with token length")
        middle.set_title("median over neurons, band: quartiles; hatched: 95 % of chance")
        positive.axhline(0.5, color=GREY, linewidth=0.8)
        positive.set_ylabel("neurons with r > 0")
        positive.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        positive.set_ylim(0, 1)
        positive.set_title(f"n = {layers['tokens'].iloc[0]:,} tokens")
        for ax in (middle, positive):
            relative_depth_axis(ax)
        handles, labels = middle.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def draw_r_spread(outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame) -> None:
    """The spread of r over the neurons of each layer, on relative depth; all models.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    with figure(outputs, 5.2, 3.4) as drawn:
        ax = drawn.subplots()
        for model, rows, style in by_model(layers):
            ax.plot(rows["relative_depth"], rows["r_std"], **style, markersize=4, label=f"{model}, standard deviation")
            chance_band(ax, evidence, model, "std", style["color"])
            between = rows["r_q95"] - rows["r_q05"]
            ax.plot(rows["relative_depth"], between, **style, markersize=3, linestyle=":", label=f"{model}, 5 to 95 %")
        relative_depth_axis(ax)
        ax.set_ylim(0)
        ax.set_ylabel("spread of r over neurons")
        ax.set_title(f"n = {layers['tokens'].iloc[0]:,} tokens; hatched: standard deviation, 95 % of chance")
        drawn.legend(loc="outside lower center", ncols=2)


def draw_r_confounds(outputs: list[str], model: str, evidence: pd.DataFrame) -> None:
    """Median r of each layer over tokens, given its confounds, and over types, and the share of neurons that pass.

    Args:
        evidence: the model's rows of evidence.csv.
    """
    with figure(outputs, 9.2, 3.6) as drawn:
        middle, passing = drawn.subplots(1, 2)
        for measure, (name, colour, marker) in MEASURE_STYLES.items():
            rows = of_measure(evidence, measure, "median")
            middle.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
            middle.plot(rows["layer"], rows["value"], color=colour, marker=marker, markersize=4, label=name)
        raw = of_measure(evidence, "r", "median")
        middle.plot(
            raw["layer"], raw["chance_low"], color=GREY, linestyle=":", linewidth=1, label="95 % of chance, over tokens"
        )
        middle.plot(raw["layer"], raw["chance_high"], color=GREY, linestyle=":", linewidth=1)
        middle.axhline(0, color=GREY, linewidth=0.8)
        middle.set_ylabel("median Pearson r with token length")
        middle.set_title(
            f"{model}: {raw['tokens'].iloc[0]:,} tokens of {raw['types'].iloc[0]:,} types "
            f"in {raw['sequences'].iloc[0]:,} sequences\nbands: 95 % intervals over sequences and types"
        )
        for measure in ("r", "r_given_all"):
            name, colour, marker = MEASURE_STYLES[measure]
            for method, line in (("bh", "-"), ("by", ":")):
                rows = of_measure(evidence, measure, f"significant_{method}")
                passing.plot(rows["layer"], rows["value"], line, color=colour, marker=marker, markersize=4)
        passing.set_ylim(0, 1)
        passing.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        passing.set_ylabel("neurons with r beyond chance")
        passing.set_title(
            "at a false discovery rate of 5 % over all neurons\n(solid: Benjamini-Hochberg, dotted: -Yekutieli)"
        )
        for ax in (middle, passing):
            ax.set_xlabel("layer")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.legend(loc="outside lower center", ncols=3)
