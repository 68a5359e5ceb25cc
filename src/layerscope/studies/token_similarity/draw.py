"""Figures of the study."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import BLUE, GREEN, GREY, MODEL_COLOURS, VERMILION, figure
from layerscope.studies.token_similarity.cosines import BLOCKS, unit_columns
from layerscope.studies.token_similarity.sentences import TOKENS
from layerscope.studies.token_similarity.vectors import read_vectors

TOKEN_NAMES = {"target": "target", "non_target": "non-target"}
SITE_COLOURS = {"q": BLUE, "k": VERMILION, "v": GREEN}


def draw_cosines(outputs: list[str], model: str, bins: list[pd.DataFrame], centred: bool = False) -> None:
    """Heatmaps of layer × cosine for the six blocks, for target and non-target.

    Args:
        bins: one table of bins per layer, in order.
    """
    with figure(outputs, 11, 4.6) as drawn:
        panels = drawn.subplots(2, 6, sharex=True, sharey=True)
        for row, token in zip(panels, TOKENS, strict=True):
            for ax, block in zip(row, BLOCKS, strict=True):
                chosen = [t[(t["token"] == token) & (t["block"] == block) & (t["centred"] == centred)] for t in bins]
                counts = np.stack([table["count"].to_numpy() for table in chosen])
                edges = np.append(chosen[0]["left"], chosen[0]["right"].iloc[-1])
                density = counts / np.diff(edges)
                # Each layer is scaled to its own peak: a first layer near ±1 would set the scale for all others.
                # A layer without cosines, because nothing varies there, stays blank.
                peak = density.max(axis=1, keepdims=True)
                shown = density / np.where(peak > 0, peak, np.nan)
                layers = np.arange(len(shown) + 1) - 0.5
                image = ax.pcolormesh(edges, layers, shown, cmap="cividis", vmin=0, vmax=1, rasterized=True)
                ax.set_title(f"{block.upper()}, {TOKEN_NAMES[token]}")
                ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        for ax in panels[1]:
            ax.set_xlabel("cosine")
        for ax in panels[:, 0]:
            ax.set_ylabel("layer")
        drawn.colorbar(image, ax=panels, label="density relative to the layer's peak", aspect=30)
        kind = "centred" if centred else "uncentred"
        drawn.suptitle(f"{model}: cosine similarity between dimensions, {kind}", fontsize=9)


def draw_cosines_centred(outputs: list[str], model: str, bins: list[pd.DataFrame]) -> None:
    """The same for centred dimensions."""
    draw_cosines(outputs, model, bins, centred=True)


def draw_spread(outputs: list[str], model: str, layers: pd.DataFrame) -> None:
    """Standard deviation and mean of the cosines per layer, compared with independent values.

    Only the target has bands of 95% intervals; twelve bands would hide each other.

    Args:
        layers: layers.csv.
    """
    rows = layers[layers["model"] == model]
    with figure(outputs, 9.2, 5.4) as drawn:
        panels = drawn.subplots(2, 2, sharex=True)
        for row, (prefix, kind) in zip(panels, (("cosine", "uncentred"), ("centred", "centred")), strict=True):
            for ax, (what, label) in zip(row, (("std", "standard deviation"), ("mean", "mean")), strict=True):
                for block, colour in zip(BLOCKS, MODEL_COLOURS, strict=True):
                    for token, line in zip(TOKENS, ("-", ":"), strict=True):
                        shown = rows[(rows["block"] == block) & (rows["token"] == token)]
                        name = f"{block.upper()}, {TOKEN_NAMES[token]}"
                        ax.plot(shown["layer"], shown[f"{prefix}_{what}"], line, color=colour, label=name)
                        if token == "target":
                            ends = (shown[f"{prefix}_{what}_{end}"] for end in ("low", "high"))
                            ax.fill_between(shown["layer"], *ends, color=colour, alpha=0.2, linewidth=0)
                null = rows["null_std" if prefix == "cosine" else "centred_null_std"].iloc[0] if what == "std" else 0
                ax.axhline(null, color=GREY, linestyle="--", label="independent values")
                ax.fill_between([], [], color=GREY, alpha=0.6, linewidth=0, label="target, 95% interval")
                ax.set_ylabel(f"{label} of cosines")
                ax.set_title(f"{kind} vectors")
                ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        for ax in panels[1]:
            ax.set_xlabel("layer")
        sentences = rows["sentences"].iloc[0]
        drawn.suptitle(f"{model}: n = {sentences} sentences; intervals for other sentences of this kind", fontsize=9)
        # One column per block, the target above the non-target.
        entries = panels[0, 0].get_legend_handles_labels()
        drawn.legend(*entries, loc="outside lower center", ncols=7, columnspacing=1, handlelength=1.5)


def draw_moments(outputs: list[str], model: str, layers: pd.DataFrame) -> None:
    """Variance and mean over sentences of q, k and v per layer, averaged over dimensions."""
    rows = layers[(layers["model"] == model) & (layers["block"] == BLOCKS[0])]
    with figure(outputs, 8.2, 3.6) as drawn:
        panels = drawn.subplots(1, 2)
        for ax, what in zip(panels, ("variance", "mean"), strict=True):
            for site, colour in SITE_COLOURS.items():
                for token, line in zip(TOKENS, ("-", ":"), strict=True):
                    shown = rows[rows["token"] == token]
                    label = f"{site.upper()}, {TOKEN_NAMES[token]}"
                    ax.plot(shown["layer"], shown[f"{what}_{site}"], line, marker=".", color=colour, label=label)
            ax.set_xlabel("layer")
            ax.set_ylabel(f"{what} over sentences")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_yscale("log")
        panels[1].axhline(0, color=GREY, linewidth=0.8)
        drawn.suptitle(f"{model}: mean over dimensions, n = {rows['sentences'].iloc[0]} sentences", fontsize=9)
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)


PIXELS = 200  # dimensions shown of each of Q, K and V


def draw_matrix(outputs: list[str], model: str, layer: int, vectors: str) -> None:
    """The matrix of centred cosines of one layer, for target and non-target and evenly spaced dimensions.

    Args:
        vectors: path of the model's file of vectors.
    """
    by_token, _ = read_vectors(vectors, layer)
    with figure(outputs, 9.2, 4.4) as drawn:
        panels = drawn.subplots(1, 2)
        for ax, (token, of_token) in zip(panels, by_token.items(), strict=True):
            steps = {site: max(1, values.shape[1] // PIXELS) for site, values in of_token.items()}
            parts = [unit_columns(values[:, :: steps[site]], centred=True) for site, values in of_token.items()]
            columns = np.concatenate(parts, axis=1)
            image = ax.imshow(columns.T @ columns, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
            borders = np.cumsum([0, *(part.shape[1] for part in parts)])
            for border in borders[1:-1]:
                ax.axhline(border - 0.5, color="black", linewidth=0.6)
                ax.axvline(border - 0.5, color="black", linewidth=0.6)
            middles = (borders[1:] + borders[:-1]) / 2
            ax.set_xticks(middles, ["Q", "K", "V"])
            ax.set_yticks(middles, ["Q", "K", "V"])
            ax.spines[:].set_visible(False)
            shown = "all dimensions" if max(steps.values()) == 1 else f"1 in {max(steps.values())} dimensions"
            ax.set_title(f"{TOKEN_NAMES[token]}, n = {len(of_token['q'])} sentences, {shown}")
        drawn.colorbar(image, ax=panels, label="cosine between centred dimensions", shrink=0.8)
        drawn.suptitle(f"{model}, layer {layer}", fontsize=9)
