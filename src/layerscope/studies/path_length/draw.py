"""Figures of the study."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    BLUE,
    GREEN,
    VERMILION,
    by_model,
    figure,
    relative_depth_axis,
)
from layerscope.studies.path_length.path_shards import read_path_shard

NAMES = {"attn": "attention output", "mlp": "MLP output", "resid": "residual stream"}
FILTERS = {"all": "all tokens", "without_first": "without the first token of each sequence"}
COLOURS = {"attn": BLUE, "mlp": VERMILION, "resid": GREEN}


def draw_lengths(outputs: list[str], model: str, shard: str) -> None:
    """Heatmaps of layer × token for the three path lengths of the first sequence of the sample.

    Position 0 has a panel and a scale of its own, because its values would set the scale for all others.
    """
    read = read_path_shard(shard)
    length = int(read.tokens.position.max()) + 1
    with figure(outputs, 10.2, 3.6) as drawn:
        panels = drawn.subplots(1, 6, width_ratios=[1, 9] * 3)
        for i, (name, title) in enumerate(NAMES.items()):
            first, rest = panels[2 * i], panels[2 * i + 1]
            lengths = read.quantities[f"path_{name}"][:, :length].astype(np.float64)
            layers = np.arange(len(lengths) + 1) - 0.5
            for ax, shown, edges in (
                (first, lengths[:, :1], [-0.5, 0.5]),
                (rest, lengths[:, 1:], np.arange(length) + 0.5),
            ):
                high = np.nanquantile(shown, 0.995)
                image = ax.pcolormesh(edges, layers, shown, cmap="cividis", vmin=0, vmax=high, rasterized=True)
                ax.yaxis.set_major_locator(MaxNLocator(integer=True))
                bar = drawn.colorbar(image, ax=ax, location="top", aspect=20 if ax is rest else 3)
                bar.set_ticks([0, high], labels=["0", f"{high:.3g}"])
            first.set_xticks([0])
            first.tick_params(labelsize=7)
            first.set_ylabel("layer" if i == 0 else "")
            rest.set_yticklabels([])
            rest.set_xlabel(f"position in the sequence\n{title}")
        drawn.suptitle(
            f"{model}: path length ‖x[l] − x[l−1]‖ of each token of one sequence, in the stream's units (position 0 "
            "on its own scale)",
            fontsize=9,
        )


def draw_mean_length(outputs: list[str], layers: pd.DataFrame, token_filter: str) -> None:
    """Mean path length and mean step of each layer, one panel per model."""
    chosen = layers[layers["token_filter"] == token_filter]
    models = list(by_model(chosen))
    with figure(outputs, 4.6 * len(models) + 0.4, 3.6) as drawn:
        panels = drawn.subplots(1, len(models), squeeze=False)[0]
        for ax, (model, rows, _) in zip(panels, models, strict=True):
            for name, title in NAMES.items():
                ax.plot(rows["layer"], rows[f"length_{name}"], "o-", color=COLOURS[name], markersize=3, label=title)
                if name != "resid":
                    label = f"step of {title}"
                    ax.plot(rows["layer"], rows[f"step_{name}"], ":", color=COLOURS[name], label=label)
            ax.set_yscale("log")
            ax.set_xlabel("layer")
            ax.set_ylabel("mean over tokens (stream's units)")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.set_title(f"{model}: n = {rows['tokens'].iloc[0]:,}, {FILTERS[token_filter]}")
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_cumulative(outputs: list[str], layers: pd.DataFrame, token_filter: str) -> None:
    """The path so far as a fraction of the total, against relative depth, for all models."""
    chosen = layers[layers["token_filter"] == token_filter]
    with figure(outputs, 9.6, 3.4) as drawn:
        panels = drawn.subplots(1, 3, sharey=True)
        for ax, (name, title) in zip(panels, NAMES.items(), strict=True):
            for model, rows, style in by_model(chosen):
                path = rows[f"cumulative_{name}"]
                label = f"{model} (n = {rows['tokens'].iloc[0]:,} tokens)"
                ax.plot(rows["relative_depth"], path / path.iloc[-1], **style, markersize=3, label=label)
            relative_depth_axis(ax)
            ax.set_title(f"{title}: total {', '.join(_totals(chosen, name))}")
        panels[0].set_ylabel("fraction of the total path so far")
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _totals(layers: pd.DataFrame, name: str) -> list[str]:
    return [f"{rows[f'cumulative_{name}'].iloc[-1]:.3g}" for _, rows, _ in by_model(layers)]
