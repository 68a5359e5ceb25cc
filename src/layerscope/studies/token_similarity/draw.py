"""Figures of the cosines between dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    GREY,
    MODEL_COLOURS,
    MODEL_MARKERS,
    TWO_COLUMNS,
    Entry,
    figure,
    legend_below,
    letter,
)
from layerscope.studies.series import Series
from layerscope.studies.token_similarity.cosines import BLOCKS
from layerscope.studies.token_similarity.sentences import TOKENS
from layerscope.training_axis import LAST, Part, TrainingAxis, figure_of_parts, not_in, some_layers

TOKEN_NAMES = {"target": "target", "non_target": "non-target"}
LINES: dict[str, Any] = {"target": "-", "non_target": ":"}
PEAK = "density relative to the {}'s peak"
LAYERS = 3  # of a series, that are shown


def draw_cosines(
    outputs: list[str], bins: dict[str, list[pd.DataFrame]], centred: bool = False, series: Sequence[Series] = ()
) -> None:
    """Heatmaps of layer × cosine for the six blocks, for target and non-target; two rows per model.

    Of a series, heatmaps of revision × cosine; two rows for each of some layers.

    Args:
        bins: model → one table of bins per layer, in order.
    """
    models = not_in(series, list(bins))
    with figure_of_parts(outputs, series, 2.4 * len(models) + 0.3 * bool(models), 2.4 * LAYERS) as parts:
        for axis, part in parts.series:
            layers = [(layer, token) for layer in some_layers(len(bins[axis.last]), LAYERS) for token in TOKENS]
            of_series = {
                f"layer {layer}\n{TOKEN_NAMES[token]}\n{axis.label}": (
                    [bins[model][layer] for model in axis.models],
                    token,
                )
                for layer, token in layers
            }
            for panel in _heatmaps(part, of_series, centred, PEAK.format("revision"), parts.marks):
                axis.rows(panel, 0.8)
        of_rest = {
            f"{model}\n{TOKEN_NAMES[token]}\nlayer": (bins[model], token) for model in models for token in TOKENS
        }
        if models:
            _heatmaps(parts.rest, of_rest, centred, PEAK.format("layer"), parts.marks)


def _heatmaps(
    part: Part,
    rows: Mapping[str, tuple[list[pd.DataFrame], str]],
    centred: bool,
    label: str,
    marks: Iterator[str] | None,
) -> list[Axes]:
    """Heatmaps of table × cosine, in one row of panels for each of ``rows``: label → tables of bins, and a token.

    Returns:
        The panels, row by row.
    """
    panels = part.subplots(len(rows), len(BLOCKS), sharex=True, squeeze=False)
    for row, (name, (tables, token)) in zip(panels, rows.items(), strict=True):
        for ax, block in zip(row, BLOCKS, strict=True):
            chosen = [t[(t["token"] == token) & (t["block"] == block) & (t["centred"] == centred)] for t in tables]
            counts = np.stack([table["count"].to_numpy() for table in chosen])
            edges = np.append(chosen[0]["left"], chosen[0]["right"].iloc[-1])
            density = counts / np.diff(edges)
            # Each layer is scaled to its own peak: a first layer near ±1 would set the scale for all others.
            # A layer without cosines, because nothing varies there, stays blank.
            peak = density.max(axis=1, keepdims=True)
            shown = density / np.where(peak > 0, peak, np.nan)
            places = np.arange(len(shown) + 1) - 0.5
            image = ax.pcolormesh(edges, places, shown, vmin=0, vmax=1, rasterized=True)
            ax.set_title(block.upper())
            ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            ax.tick_params(labelleft=ax is row[0])
        row[0].set_ylabel(name)
    for ax in panels[-1]:
        ax.set_xlabel("cosine")
        ax.set_xticks([-1, 0, 1])
    letter(panels.ravel(), marks)
    part.colorbar(image, ax=panels, label=label, aspect=40, pad=0.01)
    return list(panels.ravel())


def draw_cosines_centred(
    outputs: list[str], bins: dict[str, list[pd.DataFrame]], series: Sequence[Series] = ()
) -> None:
    """The same for centred dimensions."""
    draw_cosines(outputs, bins, True, series)


def draw_spread(outputs: list[str], layers: pd.DataFrame, series: Sequence[Series] = ()) -> None:
    """Standard deviation of the cosines per layer and block, compared with independent values; all models.

    Args:
        layers: layers.csv.
    """
    models, axes = not_in(series, layers["model"].unique()), [TrainingAxis(one) for one in series]
    with figure(outputs, TWO_COLUMNS, 3.6) as drawn:
        panels = drawn.subplots(2, len(BLOCKS), sharex=True, sharey="row")
        for row, (prefix, null) in zip(panels, (("cosine", "null_std"), ("centred", "centred_null_std")), strict=True):
            for ax, block in zip(row, BLOCKS, strict=True):
                for axis in axes:
                    _spread_of_series(ax, axis, layers[layers["block"] == block], f"{prefix}_std")
                for i, model in enumerate(models):
                    colour, marker = MODEL_COLOURS[i % len(MODEL_COLOURS)], MODEL_MARKERS[i % len(MODEL_MARKERS)]
                    for token, line in LINES.items():
                        shown = layers[
                            (layers["model"] == model) & (layers["block"] == block) & (layers["token"] == token)
                        ]
                        x, ends = shown["relative_depth"], (shown[f"{prefix}_std_{end}"] for end in ("low", "high"))
                        ax.fill_between(x, *ends, color=colour, alpha=0.25, linewidth=0)
                        ax.plot(x, shown[f"{prefix}_std"], line, color=colour, marker=marker, markersize=2)
                ax.axhline(layers[null].iloc[0], color=GREY, linestyle="--", linewidth=0.8)
                ax.set_title(block.upper())
        panels[0, 0].set_ylabel("standard deviation of\ncosines, uncentred")
        panels[1, 0].set_ylabel("standard deviation of\ncosines, centred")
        for ax in panels[1]:
            ax.set_xlabel("relative depth")
            ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        letter(panels.ravel())
        for axis in axes:
            axis.colour_bar(drawn, list(panels.ravel()), f"{axis.title}, {axis.label}")
        entries: list[Entry] = [
            (
                Line2D([], [], color=MODEL_COLOURS[i % 6], marker=MODEL_MARKERS[i % 6], markersize=2, linestyle=line),
                f"{model}, {TOKEN_NAMES[token]}",
            )
            for i, model in enumerate(models)
            for token, line in LINES.items()
        ]
        if series:
            entries += [
                (Line2D([], [], color=GREY, linestyle=line), f"revisions, {TOKEN_NAMES[token]}")
                for token, line in LINES.items()
            ]
        entries += [
            (
                Patch(color=GREY, alpha=0.5, linewidth=0),
                f"95% interval for other sentences{f' ({LAST})' if series else ''}",
            ),
            (Line2D([], [], color=GREY, linestyle="--", linewidth=0.8), "independent values"),
        ]
        legend_below(drawn, entries, 3)


def _spread_of_series(ax: Axes, axis: TrainingAxis, layers: pd.DataFrame, column: str) -> None:
    for token, line in LINES.items():
        rows = layers[layers["token"] == token]
        for model, style in axis.lines():
            of = rows[rows["model"] == model]
            ax.plot(of["relative_depth"], of[column], line, **style)
        ax.fill_between(
            of["relative_depth"],
            of[f"{column}_low"],
            of[f"{column}_high"],
            color=style["color"],
            alpha=0.25,
            linewidth=0,
        )
