"""The figure of two models side by side."""

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    BLUE,
    GREY,
    Entry,
    layer_axis,
    legend_below,
    letter,
    panels_of_models,
    percent_axis,
)
from layerscope.studies.series import Series
from layerscope.training_axis import LAST, Part, TrainingAxis, figure_of_parts

OF_SERIES: list[Entry] = [
    (Line2D([], [], color=GREY, marker="o"), "with a neuron"),
    (Line2D([], [], color=GREY, linestyle=":"), "with a unit of a rotated layer"),
    (Patch(color=GREY, alpha=0.5, linewidth=0), f"95% interval ({LAST})"),
]


def draw_matches(outputs: list[str], matches: pd.DataFrame, series: Sequence[Series] = ()) -> None:
    """The best correlation of each layer's neurons with those of another model, its excess over that with rotations,
    and the layer it is found in; one row per pair. Pairs of a revision with the last of its model share a row.

    Args:
        matches: matches.csv.
    """
    with_last = [_pairs_with_last(matches, one["models"]) for one in series]
    along = [one for one, rows in zip(series, with_last, strict=True) if len(rows)]
    of_rest = matches.drop([label for rows in with_last for label in rows.index])
    pairs = list(of_rest.groupby(["model", "other"], sort=False))
    with figure_of_parts(outputs, along, 2.3 * len(pairs), 2.3) as parts:
        for axis, part in parts.series:
            _matches_of_series(part, axis, _pairs_with_last(matches, axis.models), parts.marks)
        if parts.series:
            legend_below(parts.drawn, OF_SERIES)
        if not pairs:
            return
        axes = parts.rest.subplots(len(pairs), 3, squeeze=False, width_ratios=[1, 1, 1.25])
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
            bar = parts.rest.colorbar(image, ax=where, label="share of the layer's neurons")
            percent_axis(bar.ax.yaxis)
            where.set_title("layer of the best match")
            where.set_ylabel(f"layer of {other}")
            where.yaxis.set_major_locator(MaxNLocator(integer=True))
            for ax in (best, beyond):
                layer_axis(ax, len(layers))
            where.xaxis.set_major_locator(MaxNLocator(integer=True))
            for ax in (best, beyond, where):
                ax.set_xlabel(f"layer of {model}")
        letter(axes.ravel(), parts.marks)


def _pairs_with_last(matches: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    return matches[matches["model"].isin(models[:-1]) & (matches["other"] == models[-1])]


def _matches_of_series(part: Part, axis: TrainingAxis, matches: pd.DataFrame, marks: Iterator[str] | None) -> None:
    """The same as a line for each revision; in place of the layers of the best matches, how many are in the same."""
    titles = [
        f"median best Pearson r\nwith neurons of {axis.named(axis.last)}",
        "mean r beyond rotated layers",
        "neurons with their best match\nin the same layer",
    ]
    (best, beyond, where), lines = (
        [ax for _, (ax,) in panels_of_models(part, titles, ("",), False, marks)],
        list(axis.lines()),
    )
    of_models = [(matches[matches["model"] == model], style) for model, style in lines]
    drawn = [(rows, style) for rows, style in of_models if len(rows)]
    for rows, style in drawn:
        layers, same = rows.drop_duplicates("layer"), rows[rows["layer"] == rows["other_layer"]]
        best.plot(layers["layer"], layers["r_median"], **style)
        best.plot(layers["layer"], layers["rotated_median"], ":", color=style["color"], linewidth=0.9)
        beyond.plot(layers["layer"], layers["excess"], **style)
        where.plot(same["layer"], same["share"], **style)
    beyond.fill_between(
        layers["layer"], layers["excess_low"], layers["excess_high"], color=style["color"], alpha=0.25, linewidth=0
    )
    beyond.axhline(0, color=GREY, linewidth=0.6)
    best.set_ylim(0, 1)
    where.set_ylim(0, 1)
    percent_axis(where.yaxis)
    for ax in (best, beyond, where):
        layer_axis(ax, len(layers))
    axis.colour_bar(part, [best, beyond, where])


def quantile_band(ax: Axes, rows: pd.DataFrame, prefix: str, colour: str, marker: str, name: str) -> None:
    ax.fill_between(rows["layer"], rows[f"{prefix}_q05"], rows[f"{prefix}_q95"], color=colour, alpha=0.2, linewidth=0)
    ax.plot(rows["layer"], rows[f"{prefix}_median"], marker=marker, color=colour, label=name)
