"""Figures of path lengths."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    BLUE,
    GREEN,
    TWO_COLUMNS,
    VERMILION,
    Entry,
    by_model,
    figure,
    height_of_models,
    layer_axis,
    legend_below,
    letter,
    letters,
    log_y_axis,
    panels_of_models,
    relative_depth_axis,
)
from layerscope.studies.path_length.path_shards import read_path_shard

NAMES = {"attn": "attention output", "mlp": "MLP output", "resid": "residual stream"}
FILTERS = {"all": "all tokens", "without_first": "without the first token of each sequence"}
COLOURS = {"attn": BLUE, "mlp": VERMILION, "resid": GREEN}
MARKERS = {"attn": "o", "mlp": "s", "resid": "^"}


def draw_lengths(outputs: list[str], shards: dict[str, str]) -> None:
    """Heatmaps of layer × token for the three path lengths of the first sequence of the sample; one row per model.

    Position 0 has a panel and a scale of its own, because its values would set the scale for all others.

    Args:
        shards: model → path of its first path shard.
    """
    with figure(outputs, TWO_COLUMNS, 2.0 * len(shards) + 0.2) as drawn:
        panels, marks = drawn.subplots(len(shards), 6, width_ratios=[1, 9] * 3, squeeze=False), letters()
        for row, (model, path) in zip(panels, shards.items(), strict=True):
            read = read_path_shard(path)
            length = int(read.tokens.position.max()) + 1
            for i, (name, title) in enumerate(NAMES.items()):
                first, rest = row[2 * i], row[2 * i + 1]
                lengths = read.quantities[f"path_{name}"][:, :length].astype(np.float64)
                layers = np.arange(len(lengths) + 1) - 0.5
                for ax, shown, edges in (
                    (first, lengths[:, :1], [-0.5, 0.5]),
                    (rest, lengths[:, 1:], np.arange(length) + 0.5),
                ):
                    high = np.nanquantile(shown, 0.995)
                    image = ax.pcolormesh(edges, layers, shown, vmin=0, vmax=high, rasterized=True)
                    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
                    bar = drawn.colorbar(image, ax=ax, location="top", aspect=20 if ax is rest else 3)
                    bar.set_ticks([0, high], labels=["0", f"{high:.3g}"])
                bar.set_label(f"{next(marks)}  {title} (stream's units)")  # of the wider panel
                first.set_xticks([0])
                first.set_ylabel(f"{model}\nlayer" if i == 0 else "")
                rest.set_yticklabels([])
                rest.set_xlabel("position in the sequence")


def draw_mean_length(outputs: list[str], layers: pd.DataFrame, token_filter: str) -> None:
    """Mean path length and mean step of each layer, one panel per model."""
    chosen = layers[layers["token_filter"] == token_filter]
    models = chosen["model"].unique()
    with figure(outputs, TWO_COLUMNS, height_of_models(models, 1, 1.9)) as drawn:
        for model, (ax,) in panels_of_models(drawn, models, ("mean over tokens\n(stream's units)",), shared=False):
            rows = chosen[chosen["model"] == model]
            for name in NAMES:
                style: Any = {"color": COLOURS[name], "marker": MARKERS[name]}
                ax.plot(rows["layer"], rows[f"length_{name}"], **style)
                if name != "resid":
                    ax.plot(rows["layer"], rows[f"step_{name}"], ":", color=COLOURS[name])
            log_y_axis(ax)
            layer_axis(ax, len(rows))
            ax.set_title(f"{model}: n = {rows['tokens'].iloc[0]:,} tokens")
        entries: list[Entry] = [
            (Line2D([], [], color=COLOURS[name], marker=MARKERS[name]), title) for name, title in NAMES.items()
        ]
        entries += [
            (Line2D([], [], color=COLOURS[name], linestyle=":"), f"step of {NAMES[name]}") for name in ("attn", "mlp")
        ]
        legend_below(drawn, entries, 5)


def draw_cumulative(outputs: list[str], layers: pd.DataFrame, token_filter: str) -> None:
    """The path so far as a fraction of the total, against relative depth, for all models."""
    chosen = layers[layers["token_filter"] == token_filter]
    with figure(outputs, TWO_COLUMNS, 2.5) as drawn:
        panels = drawn.subplots(1, 3, sharey=True)
        for ax, (name, title) in zip(panels, NAMES.items(), strict=True):
            for model, rows, style in by_model(chosen):
                path = rows[f"cumulative_{name}"]
                label = f"{model} (n = {rows['tokens'].iloc[0]:,} tokens)"
                ax.plot(rows["relative_depth"], path / path.iloc[-1], **style, label=label)
            relative_depth_axis(ax)
            ax.set_title(f"{title}: total {', '.join(_totals(chosen, name))}")
        panels[0].set_ylabel("fraction of the total path so far")
        letter(panels)
        legend_below(drawn, zip(*panels[0].get_legend_handles_labels(), strict=True))


def _totals(layers: pd.DataFrame, name: str) -> list[str]:
    return [f"{rows[f'cumulative_{name}'].iloc[-1]:.3g}" for _, rows, _ in by_model(layers)]
