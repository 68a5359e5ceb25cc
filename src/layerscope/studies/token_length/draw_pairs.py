"""Figures of two models side by side."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import BLUE, GREY, VERMILION, figure, hatched_band, percent_axis, relative_depth_axis


def draw_matches(outputs: list[str], matches: pd.DataFrame) -> None:
    """The best correlation of each layer's neurons with those of another model, its excess over that with rotations,
    and the layer it is found in; one row per pair.

    Args:
        matches: matches.csv.
    """
    pairs = list(matches.groupby(["model", "other"], sort=False))
    with figure(outputs, 9.2, 3.4 * len(pairs)) as drawn:
        axes = drawn.subplots(len(pairs), 3, squeeze=False, width_ratios=[1, 1, 1.25])
        for (best, beyond, where), ((model, other), rows) in zip(axes, pairs, strict=True):
            layers = rows.drop_duplicates("layer")
            for prefix, colour, name in (
                ("r", BLUE, "with a neuron"),
                ("rotated", GREY, "with a unit of a rotated layer"),
            ):
                quantile_band(best, layers, prefix, colour, name)
            best.set_ylim(0, 1)
            best.set_ylabel(f"best Pearson r in {other}")
            best.set_title("median over neurons\n(bands: 5% to 95%)")
            best.legend(loc="best")
            beyond.fill_between(
                layers["layer"], layers["excess_low"], layers["excess_high"], color=BLUE, alpha=0.2, linewidth=0
            )
            beyond.plot(layers["layer"], layers["excess"], "o-", color=BLUE, markersize=4)
            beyond.axhline(0, color=GREY, linewidth=0.8)
            beyond.set_ylabel("mean r minus that with rotated layers")
            beyond.set_title("excess (band: 95% interval,\nother text of this kind)")
            shares = rows.pivot_table(index="other_layer", columns="layer", values="share")
            image = where.pcolormesh(shares.columns, shares.index, shares, cmap="cividis", vmin=0, shading="nearest")
            bar = drawn.colorbar(image, ax=where, label="share of the layer's neurons")
            percent_axis(bar.ax.yaxis)
            where.set_title("layer of the best match")
            where.set_ylabel(f"layer of {other}")
            where.yaxis.set_major_locator(MaxNLocator(integer=True))
            for ax in (best, beyond, where):
                ax.set_xlabel(f"layer of {model}")
                ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def quantile_band(ax: Axes, rows: pd.DataFrame, prefix: str, colour: str, name: str) -> None:
    ax.fill_between(rows["layer"], rows[f"{prefix}_q05"], rows[f"{prefix}_q95"], color=colour, alpha=0.2, linewidth=0)
    ax.plot(rows["layer"], rows[f"{prefix}_median"], "o-", color=colour, markersize=4, label=name)


def draw_profiles(outputs: list[str], profiles: pd.DataFrame) -> None:
    """Quantiles over neurons of r with token length, of two models, at the same relative depths; one panel per pair.

    Args:
        profiles: profiles.csv.
    """
    pairs = list(profiles.groupby(["model", "other"], sort=False))
    with figure(outputs, 5.2 * len(pairs), 3.6) as drawn:
        for ax, ((model, other), rows) in zip(drawn.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
            median = rows[rows["quantile"] == 0.5]
            for who, colour in (("", BLUE), ("other_", VERMILION)):
                hatched_band(ax, median["relative_depth"], median[f"{who}null_low"], median[f"{who}null_high"], colour)
            for quantile, of in rows.groupby("quantile"):
                line = "-" if quantile == 0.5 else "--" if quantile in (0.25, 0.75) else ":"
                for column, name, colour in (("r", model, BLUE), ("other_r", other, VERMILION)):
                    label = name if line == "-" else None
                    ax.plot(of["relative_depth"], of[column], line, color=colour, linewidth=1.3, label=label)
            ax.axhline(0, color=GREY, linewidth=0.8)
            relative_depth_axis(ax)
            ax.set_ylabel("Pearson r with token length")
            apart = rows["difference"].abs().mean()
            ax.set_title(
                "quantiles over neurons: 5, 25, 50 (solid), 75, 95%\n"
                f"on average {apart:.3f} apart; hatched: 95% band of the median's null",
                fontsize=9,
            )
            ax.legend()
