"""Figures of summaries of r, with their nulls."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from layerscope.plotting import (
    BLUE,
    GREEN,
    GREY,
    NULL,
    ORANGE,
    TWO_COLUMNS,
    VERMILION,
    Entry,
    figure,
    hatched_band,
    height_of_models,
    layer_axis,
    legend_below,
    line_beyond_null,
    panels_of_models,
    percent_axis,
    relative_depth_axis,
)
from layerscope.studies.token_length.measures import of_measure

MEASURE_STYLES = {  # name → label, colour, marker
    "r": ("over tokens", BLUE, "o"),
    "r_given_frequency": ("given frequency", ORANGE, "s"),
    "r_given_all": ("given frequency, space, position", VERMILION, "^"),
    "r_types": ("over types", GREEN, "D"),
}
OTHERS: dict = {"color": "0.7", "linewidth": 0.8}
BAND: dict = {"color": BLUE, "alpha": 0.3, "linewidth": 0}


def draw_r_across_models(outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame) -> None:
    """Median r with its quartiles, and the fraction of positive r, on relative depth; the other models in grey.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    models = layers["model"].unique()
    rows = ("Pearson r with token length", "neurons with r > 0")
    with figure(outputs, TWO_COLUMNS, height_of_models(models, 2)) as drawn:
        for model, panels in panels_of_models(drawn, models, rows):
            of = layers[layers["model"] == model]
            panels[0].fill_between(of["relative_depth"], of["r_q25"], of["r_q75"], **BAND)
            for ax, column, statistic, centre in zip(
                panels, ("r_median", "fraction_positive"), ("median", "fraction_positive"), (0, 0.5), strict=True
            ):
                ax.axhline(centre, color=GREY, linewidth=0.6)
                null = of_measure(evidence, "r", statistic, model)
                hatched_band(ax, null["relative_depth"], null["null_low"], null["null_high"])
                for _, other in layers[layers["model"] != model].groupby("model", sort=False):
                    ax.plot(other["relative_depth"], other[column], **OTHERS)
                ax.plot(of["relative_depth"], of[column], "o-", color=BLUE)
                relative_depth_axis(ax)
            panels[1].set_ylim(0, 1)
            percent_axis(panels[1].yaxis)
        entries: list[Entry] = [
            (Line2D([], [], color=BLUE, marker="o"), "the model (above: median over neurons)"),
            (Patch(**BAND), "quartiles over neurons"),
            (Line2D([], [], **OTHERS), "the other models"),
            (NULL, "null, 95%"),
        ]
        legend_below(drawn, entries if len(models) > 1 else [entry for entry in entries if "other" not in entry[1]])


def draw_r_spread(outputs: list[str], evidence: pd.DataFrame) -> None:
    """The spread of r over the neurons of each layer, seen and beyond the errors of r.

    Args:
        evidence: evidence.csv.
    """
    models = evidence["model"].unique()
    rows = ("standard deviation of r", "variance of r\nbeyond its errors")
    with figure(outputs, TWO_COLUMNS, height_of_models(models, 2)) as drawn:
        for model, panels in panels_of_models(drawn, models, rows):
            for ax, statistic in zip(panels, ("std", "variance"), strict=True):
                of = of_measure(evidence, "r", statistic, model)
                hatched_band(ax, of["layer"], of["null_low"], of["null_high"])
                ax.fill_between(of["layer"], of["low"], of["high"], **BAND)  # of std there is no interval
                ax.plot(of["layer"], of["value"], "o-", color=BLUE)
                ax.axhline(0, color=GREY, linewidth=0.6)
                layer_axis(ax, len(of))
        legend_below(
            drawn,
            [
                (Line2D([], [], color=BLUE, marker="o"), "over the neurons of a layer"),
                (Patch(**BAND), "95% interval for other text (lower row)"),
                (NULL, "null, 95%"),
            ],
        )


def draw_r_confounds(outputs: list[str], evidence: pd.DataFrame) -> None:
    """Median r of each layer over tokens, given its confounds, and over types, and the share of neurons that pass.

    Args:
        evidence: evidence.csv.
    """
    models = evidence["model"].unique()
    rows = ("median Pearson r with length", "neurons with r\nbeyond the null")
    with figure(outputs, TWO_COLUMNS, height_of_models(models, 2, 1.5, 0.85)) as drawn:
        for model, (medians, passing) in panels_of_models(drawn, models, rows):
            medians.axhline(0, color=GREY, linewidth=0.6)
            for measure, (_, colour, marker) in MEASURE_STYLES.items():
                of = of_measure(evidence, measure, "median", model)
                line_beyond_null(medians, of["layer"], of, colour, marker)
                for method, line in (("bh", "-"), ("by", ":")):
                    shares = of_measure(evidence, measure, f"significant_{method}", model)
                    if len(shares):
                        passing.plot(shares["layer"], shares["value"], line, color=colour, marker=marker, markersize=2)
            passing.set_ylim(0, 1)
            percent_axis(passing.yaxis)
            layer_axis(passing, len(of))
        entries: list[Entry] = [
            (Line2D([], [], color=colour, marker=marker), name) for name, colour, marker in MEASURE_STYLES.values()
        ]
        entries += [
            (Line2D([], [], color=GREY, marker="o", linestyle=""), "median beyond its null"),
            (Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white"), "median within its null"),
            (Patch(color=GREY, alpha=0.5, linewidth=0), "95% interval"),
            (Line2D([], [], color=GREY, linestyle=":"), "lower row: Benjamini–Yekutieli (solid: –Hochberg)"),
        ]
        legend_below(drawn, entries)
