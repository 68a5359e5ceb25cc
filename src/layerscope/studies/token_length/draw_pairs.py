"""The figure of two models side by side."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import BLUE, GREY, TWO_COLUMNS, figure, layer_axis, letter, percent_axis


def draw_matches(outputs: list[str], matches: pd.DataFrame) -> None:
    """The best correlation of each layer's neurons with those of another model, its excess over that with rotations,
    and the layer it is found in; one row per pair.

    Args:
        matches: matches.csv.
    """
    pairs = list(matches.groupby(["model", "other"], sort=False))
    with figure(outputs, TWO_COLUMNS, 2.3 * len(pairs)) as drawn:
        axes = drawn.subplots(len(pairs), 3, squeeze=False, width_ratios=[1, 1, 1.25])
        for (best, beyond, where), ((model, other), rows) in zip(axes, pairs, strict=True):
            layers = rows.drop_duplicates("layer")
            for prefix, colour, marker, name in (
                ("r", BLUE, "o", "with a neuron"),
                ("rotated", GREY, "s", "with a unit of a rotated layer"),
            ):
                quantile_band(best, layers, prefix, colour, marker, name)
            best.set_ylim(0, 1)
            best.set_ylabel(f"best Pearson r in {other}")
            best.set_title("median and 5% to 95%")
            best.legend(loc="best")
            beyond.fill_between(
                layers["layer"], layers["excess_low"], layers["excess_high"], color=BLUE, alpha=0.2, linewidth=0
            )
            beyond.plot(layers["layer"], layers["excess"], "o-", color=BLUE)
            beyond.axhline(0, color=GREY, linewidth=0.6)
            beyond.set_ylabel("mean r beyond rotated layers")
            beyond.set_title("excess and 95% interval")
            shares = rows.pivot_table(index="other_layer", columns="layer", values="share")
            image = where.pcolormesh(shares.columns, shares.index, shares, vmin=0, shading="nearest", rasterized=True)
            bar = drawn.colorbar(image, ax=where, label="share of the layer's neurons")
            percent_axis(bar.ax.yaxis)
            where.set_title("layer of the best match")
            where.set_ylabel(f"layer of {other}")
            where.yaxis.set_major_locator(MaxNLocator(integer=True))
            for ax in (best, beyond):
                layer_axis(ax, len(layers))
            where.xaxis.set_major_locator(MaxNLocator(integer=True))
            for ax in (best, beyond, where):
                ax.set_xlabel(f"layer of {model}")
        letter(axes.ravel())


def quantile_band(ax: Axes, rows: pd.DataFrame, prefix: str, colour: str, marker: str, name: str) -> None:
    ax.fill_between(rows["layer"], rows[f"{prefix}_q05"], rows[f"{prefix}_q95"], color=colour, alpha=0.2, linewidth=0)
    ax.plot(rows["layer"], rows[f"{prefix}_median"], marker=marker, color=colour, label=name)
