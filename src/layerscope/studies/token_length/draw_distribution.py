"""Figure of the distribution of r over the neurons of each layer."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import gaussian_kde

from layerscope.plotting import (
    ACROSS,
    GREY,
    VERMILION,
    Entry,
    height_of_models,
    legend_below,
    panels_of_models,
)
from layerscope.stats.relative_depth import relative_depths
from layerscope.studies.series import Series
from layerscope.studies.token_length.measures import of_measure
from layerscope.training_axis import BAR, Part, TrainingAxis, figure_of_parts, not_in, some_layers

R_LABEL = "Pearson r with token length"
STEPS = 241  # at which the density is computed


def draw_r_by_layer(
    outputs: list[str],
    tables: dict[str, list[pd.DataFrame]],
    evidence: pd.DataFrame,
    series: Sequence[Series] = (),
) -> None:
    """The distribution of r over neurons in every layer: as lines, and as a heatmap with the median.

    Args:
        tables: model → tables of neurons, in the order of the layers.
        evidence: evidence.csv.
    """
    r = {model: [table["r_pearson"].dropna().to_numpy() for table in layers] for model, layers in tables.items()}
    largest = np.abs(np.concatenate([values for layers in r.values() for values in layers]))
    limit = np.ceil(np.quantile(largest, 0.999) * 20) / 20
    at = np.linspace(-limit, limit, STEPS)
    # Scott's rule smooths the sampling noise of a few hundred neurons and keeps real humps.
    density = {model: np.stack([gaussian_kde(values)(at) for values in layers]) for model, layers in r.items()}
    models = not_in(series, list(r))
    with figure_of_parts(outputs, series, height_of_models(models, 2, 1.7), 3.4) as parts:
        colours = ScalarMappable(Normalize(0, 1), "viridis")
        of_lines, of_heat = [], []
        rows = ("density over neurons", "layer")
        for axis, part in parts.series:
            _densities_of_series(part, axis, r, density, at, evidence, parts.marks)
        for model, (lines, heat) in panels_of_models(parts.rest, models, rows, shared=False, marks=parts.marks):
            layers = len(r[model])
            for depth, row in zip(relative_depths(layers), density[model], strict=True):
                lines.plot(at, row, color=colours.to_rgba(np.array(depth)), linewidth=0.9)
            lines.set_ylim(0)
            # Layers from the bottom up, as the stream runs; each is scaled to its own peak, as r of an untrained model
            # is spread far less.
            shown = density[model] / density[model].max(axis=1, keepdims=True)
            image = heat.pcolormesh(at, np.arange(layers), shown, vmin=0, vmax=1, shading="nearest", rasterized=True)
            heat.plot([np.median(values) for values in r[model]], range(layers), "o-", color=VERMILION)
            null = of_measure(evidence, "r", "median", model)
            heat.hlines(null["layer"], null["null_low"], null["null_high"], color="white", linewidth=2.2)
            heat.hlines(null["layer"], null["null_low"], null["null_high"], color="black", linewidth=1)
            heat.yaxis.set_major_locator(MaxNLocator(6, integer=True))
            heat.set_xlabel(R_LABEL)
            for ax in (lines, heat):
                ax.set_xlim(-limit, limit)
                ax.xaxis.set_major_locator(MaxNLocator(5))
            lines.axvline(0, color=GREY, linewidth=0.6)
            of_lines.append(lines)
            of_heat.append(heat)
        if models:
            parts.rest.colorbar(colours, ax=of_lines[:ACROSS], label="relative depth", **BAR)
            parts.rest.colorbar(image, ax=of_heat[:ACROSS], label="density relative\nto the layer's peak", **BAR)
        entries: list[Entry] = [
            (Line2D([], [], color=VERMILION, marker="o"), "median over neurons"),
            (Line2D([], [], color="black"), "null of the median, 95%"),
        ]
        legend_below(parts.drawn, entries)


def _densities_of_series(
    part: Part,
    axis: TrainingAxis,
    r: dict[str, list[np.ndarray]],
    density: dict[str, np.ndarray],
    at: np.ndarray,
    evidence: pd.DataFrame,
    marks: Iterator[str] | None,
) -> None:
    """Of some layers, as lines and as heatmaps whose rows are revisions."""
    layers = {f"layer {layer}": layer for layer in some_layers(len(r[axis.last]), ACROSS)}
    of_lines: list[Axes] = []
    of_heat: list[Axes] = []
    places = range(len(axis.models))
    for title, (lines, heat) in panels_of_models(
        part, layers, ("density over neurons", axis.label), shared=False, marks=marks
    ):
        layer = layers[title]
        for model, style in axis.lines():
            lines.plot(at, density[model][layer], color=style["color"], linewidth=0.9)
        lines.set_ylim(0)
        shown = np.stack([density[model][layer] for model in axis.models])
        shown /= shown.max(axis=1, keepdims=True)
        image = heat.pcolormesh(at, places, shown, vmin=0, vmax=1, shading="nearest", rasterized=True)
        heat.plot([np.median(r[model][layer]) for model in axis.models], places, "o-", color=VERMILION)
        null = of_measure(evidence, "r", "median")
        null = null[null["layer"] == layer].set_index("model").loc[axis.models]
        heat.hlines(places, null["null_low"], null["null_high"], color="white", linewidth=2.2)
        heat.hlines(places, null["null_low"], null["null_high"], color="black", linewidth=1)
        axis.rows(heat, 1.2)
        heat.tick_params(labelleft=not of_heat)
        heat.set_xlabel(R_LABEL.replace(" with", "\nwith"))
        for ax in (lines, heat):
            ax.set_xlim(at[0], at[-1])
            ax.xaxis.set_major_locator(MaxNLocator(5))
        lines.axvline(0, color=GREY, linewidth=0.6)
        of_lines.append(lines)
        of_heat.append(heat)
    axis.colour_bar(part, of_lines)
    part.colorbar(image, ax=of_heat, label="density relative\nto the revision's peak", **BAR)
