"""Figures of the cosines between dimensions."""

from typing import Any

import numpy as np
import pandas as pd
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
from layerscope.studies.token_similarity.cosines import BLOCKS
from layerscope.studies.token_similarity.sentences import TOKENS

TOKEN_NAMES = {"target": "target", "non_target": "non-target"}
LINES: dict[str, Any] = {"target": "-", "non_target": ":"}


def draw_cosines(outputs: list[str], bins: dict[str, list[pd.DataFrame]], centred: bool = False) -> None:
    """Heatmaps of layer × cosine for the six blocks, for target and non-target; two rows per model.

    Args:
        bins: model → one table of bins per layer, in order.
    """
    with figure(outputs, TWO_COLUMNS, 2.4 * len(bins) + 0.3) as drawn:
        panels = drawn.subplots(2 * len(bins), len(BLOCKS), sharex=True, squeeze=False)
        places = [(model, token) for model in bins for token in TOKENS]
        for row, (model, token) in zip(panels, places, strict=True):
            for ax, block in zip(row, BLOCKS, strict=True):
                chosen = [
                    t[(t["token"] == token) & (t["block"] == block) & (t["centred"] == centred)] for t in bins[model]
                ]
                counts = np.stack([table["count"].to_numpy() for table in chosen])
                edges = np.append(chosen[0]["left"], chosen[0]["right"].iloc[-1])
                density = counts / np.diff(edges)
                # Each layer is scaled to its own peak: a first layer near ±1 would set the scale for all others.
                # A layer without cosines, because nothing varies there, stays blank.
                peak = density.max(axis=1, keepdims=True)
                shown = density / np.where(peak > 0, peak, np.nan)
                layers = np.arange(len(shown) + 1) - 0.5
                image = ax.pcolormesh(edges, layers, shown, vmin=0, vmax=1, rasterized=True)
                ax.set_title(block.upper())
                ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
                ax.tick_params(labelleft=ax is row[0])
            row[0].set_ylabel(f"{model}\n{TOKEN_NAMES[token]}\nlayer")
        for ax in panels[-1]:
            ax.set_xlabel("cosine")
            ax.set_xticks([-1, 0, 1])
        letter(panels.ravel())
        drawn.colorbar(image, ax=panels, label="density relative to the layer's peak", aspect=40, pad=0.01)


def draw_cosines_centred(outputs: list[str], bins: dict[str, list[pd.DataFrame]]) -> None:
    """The same for centred dimensions."""
    draw_cosines(outputs, bins, centred=True)


def draw_spread(outputs: list[str], layers: pd.DataFrame) -> None:
    """Standard deviation of the cosines per layer and block, compared with independent values; all models.

    Args:
        layers: layers.csv.
    """
    models = list(layers["model"].unique())
    with figure(outputs, TWO_COLUMNS, 3.6) as drawn:
        panels = drawn.subplots(2, len(BLOCKS), sharex=True, sharey="row")
        for row, (prefix, null) in zip(panels, (("cosine", "null_std"), ("centred", "centred_null_std")), strict=True):
            for ax, block in zip(row, BLOCKS, strict=True):
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
        entries: list[Entry] = [
            (
                Line2D([], [], color=MODEL_COLOURS[i % 6], marker=MODEL_MARKERS[i % 6], markersize=2, linestyle=line),
                f"{model}, {TOKEN_NAMES[token]}",
            )
            for i, model in enumerate(models)
            for token, line in LINES.items()
        ]
        entries += [
            (Patch(color=GREY, alpha=0.5, linewidth=0), "95% interval for other sentences"),
            (Line2D([], [], color=GREY, linestyle="--", linewidth=0.8), "independent values"),
        ]
        legend_below(drawn, entries, 3)
