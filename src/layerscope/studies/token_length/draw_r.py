"""Figures of summaries of r, with their nulls."""

from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from layerscope.plotting import (
    BLUE,
    GREEN,
    GREY,
    NULL,
    ORANGE,
    VERMILION,
    Entry,
    hatched_band,
    height_of_models,
    layer_axis,
    legend_below,
    line_beyond_null,
    panels_of_models,
    percent_axis,
    relative_depth_axis,
)
from layerscope.studies.series import Series
from layerscope.studies.token_length.measures import of_measure
from layerscope.training_axis import BAR, LAST, Part, TrainingAxis, figure_of_parts, label_lowest, not_in, without_bands

MEASURE_STYLES = {  # name → label, colour, marker
    "r": ("over tokens", BLUE, "o"),
    "r_given_frequency": ("given frequency", ORANGE, "s"),
    "r_given_all": ("given frequency, space, position", VERMILION, "^"),
    "r_types": ("over types", GREEN, "D"),
}
OTHERS: dict = {"color": "0.7", "linewidth": 0.8}
BAND: dict = {"color": BLUE, "alpha": 0.3, "linewidth": 0}


def draw_r_across_models(
    outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame, series: Sequence[Series] = ()
) -> None:
    """Median r with its quartiles, and the fraction of positive r, on relative depth; the other models in grey.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    models = not_in(series, layers["model"].unique())
    rows = ("Pearson r with token length", "neurons with r > 0")
    with figure_of_parts(outputs, series, height_of_models(models, 2), 3.6) as parts:
        for axis, part in parts.series:
            _r_of_series(part, axis, layers, evidence, parts.marks)
        for model, panels in panels_of_models(parts.rest, models, rows, marks=parts.marks):
            of = layers[layers["model"] == model]
            panels[0].fill_between(of["relative_depth"], of["r_q25"], of["r_q75"], **BAND)
            for ax, column, statistic, centre in zip(
                panels, ("r_median", "fraction_positive"), ("median", "fraction_positive"), (0, 0.5), strict=True
            ):
                ax.axhline(centre, color=GREY, linewidth=0.6)
                null = of_measure(evidence, "r", statistic, model)
                hatched_band(ax, null["relative_depth"], null["null_low"], null["null_high"])
                for name, other in layers[layers["model"] != model].groupby("model", sort=False):
                    if any(name in one["models"][:-1] for one in series):
                        continue  # the last stands for its series
                    ax.plot(other["relative_depth"], other[column], **OTHERS)
                ax.plot(of["relative_depth"], of[column], "o-", color=BLUE)
                relative_depth_axis(ax)
            panels[1].set_ylim(0, 1)
            percent_axis(panels[1].yaxis)
        entries: list[Entry] = [
            (Line2D([], [], color=BLUE, marker="o"), "the model (above: median over neurons)"),
            (Patch(**BAND), "quartiles over neurons"),
            (Line2D([], [], **OTHERS), "the other models"),
            (NULL, f"null, 95% ({LAST})" if series else "null, 95%"),
        ]
        if not models:
            entries = entries[-1:]
        elif len(layers["model"].unique()) == 1:
            entries = [entry for entry in entries if "other" not in entry[1]]
        legend_below(parts.drawn, entries)


def _r_of_series(
    part: Part, axis: TrainingAxis, layers: pd.DataFrame, evidence: pd.DataFrame, marks: Iterator[str] | None
) -> None:
    """Above, revisions on relative depth; below, layers on training steps."""
    of_revisions, of_layers = [], []
    columns = {"median Pearson r with token length": "r_median", "neurons with r > 0": "fraction_positive"}
    rows = layers[layers["model"].isin(axis.models)]
    depths = ScalarMappable(Normalize(0, 1), matplotlib.colormaps["viridis"].resampled(256))
    for title, (by_depth, by_step) in panels_of_models(part, columns, ("", ""), shared=False, marks=marks):
        statistic = "median" if columns[title] == "r_median" else columns[title]
        null = of_measure(evidence, "r", statistic, axis.last)
        hatched_band(by_depth, null["relative_depth"], null["null_low"], null["null_high"])
        for model, style in axis.lines():
            of = rows[rows["model"] == model]
            by_depth.plot(of["relative_depth"], of[columns[title]], **style)
        relative_depth_axis(by_depth)
        values = rows.pivot_table(index="relative_depth", columns="model", values=columns[title])[axis.models]
        for depth, of_layer in values.iterrows():
            by_step.plot(
                axis.values, of_layer, "o-", color=depths.to_rgba(np.array(depth)), markersize=1.8, linewidth=0.9
            )
        axis.x_axis(by_step)
        for ax in (by_depth, by_step):
            ax.axhline(0.5 if statistic == "fraction_positive" else 0, color=GREY, linewidth=0.6)
            if statistic == "fraction_positive":
                ax.set_ylim(0, 1)
                percent_axis(ax.yaxis)
        of_revisions.append(by_depth)
        of_layers.append(by_step)
    axis.colour_bar(part, of_revisions)
    part.colorbar(depths, ax=of_layers, label="relative depth", **BAR)


def draw_r_spread(outputs: list[str], evidence: pd.DataFrame, series: Sequence[Series] = ()) -> None:
    """The spread of r over the neurons of each layer, seen and beyond the errors of r.

    Args:
        evidence: evidence.csv.
    """
    models = not_in(series, evidence["model"].unique())
    rows = ("standard deviation of r", "variance of r\nbeyond its errors")
    with figure_of_parts(outputs, series, height_of_models(models, 2), 1.9) as parts:
        for axis, part in parts.series:
            _spread_of_series(part, axis, evidence, parts.marks)
        for model, panels in panels_of_models(parts.rest, models, rows, marks=parts.marks):
            for ax, statistic in zip(panels, ("std", "variance"), strict=True):
                of = of_measure(evidence, "r", statistic, model)
                hatched_band(ax, of["layer"], of["null_low"], of["null_high"])
                ax.fill_between(of["layer"], of["low"], of["high"], **BAND)  # of std there is no interval
                ax.plot(of["layer"], of["value"], "o-", color=BLUE)
                ax.axhline(0, color=GREY, linewidth=0.6)
                layer_axis(ax, len(of))
        entries: list[Entry] = [
            (Line2D([], [], color=BLUE, marker="o"), "over the neurons of a layer"),
            (Patch(**BAND), "95% interval for other text (lower row)"),
            (NULL, f"null, 95% ({LAST})" if series else "null, 95%"),
        ]
        legend_below(parts.drawn, entries if models else entries[-1:])


def _spread_of_series(part: Part, axis: TrainingAxis, evidence: pd.DataFrame, marks: Iterator[str] | None) -> None:
    columns, panels = {"standard deviation of r": "std", "variance of r beyond its errors": "variance"}, []
    for title, (ax,) in panels_of_models(part, columns, ("",), shared=False, marks=marks):
        for model, style in axis.lines():
            of = of_measure(evidence, "r", columns[title], model)
            ax.plot(of["layer"], of["value"], **style)
        hatched_band(ax, of["layer"], of["null_low"], of["null_high"])  # of the last
        ax.axhline(0, color=GREY, linewidth=0.6)
        layer_axis(ax, len(of))
        panels.append(ax)
    axis.colour_bar(part, panels)


def draw_r_confounds(outputs: list[str], evidence: pd.DataFrame, series: Sequence[Series] = ()) -> None:
    """Median r of each layer over tokens, given its confounds, and over types, and the share of neurons that pass.

    Args:
        evidence: evidence.csv.
    """
    models = not_in(series, evidence["model"].unique())
    rows = ("median Pearson r with length", "neurons with r\nbeyond the null")
    with figure_of_parts(outputs, series, height_of_models(models, 2, 1.5, 0.85), 3.3) as parts:
        for axis, part in parts.series:
            _confounds_of_series(part, axis, evidence, parts.marks)
        for model, (medians, passing) in panels_of_models(parts.rest, models, rows, marks=parts.marks):
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
        of_measures: list[Entry] = [
            (Line2D([], [], color=colour, marker=marker), name) for name, colour, marker in MEASURE_STYLES.values()
        ]
        entries: list[Entry] = [
            (Line2D([], [], color=GREY, marker="o", linestyle=""), "median beyond its null"),
            (Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white"), "median within its null"),
            (Patch(color=GREY, alpha=0.5, linewidth=0), f"95% interval ({LAST})" if series else "95% interval"),
            (Line2D([], [], color=GREY, linestyle=":"), "lower row: Benjamini–Yekutieli (solid: –Hochberg)"),
        ]
        legend_below(parts.drawn, [*of_measures, *entries] if models else entries[:-1])


def _confounds_of_series(part: Part, axis: TrainingAxis, evidence: pd.DataFrame, marks: Iterator[str] | None) -> None:
    rows = ("median Pearson r\nwith length", "neurons with r\nbeyond the null")
    measures = {
        label.replace(", space", ",\nspace"): (measure, marker)
        for measure, (label, _, marker) in MEASURE_STYLES.items()
    }
    panels = []
    for label, (medians, passing) in panels_of_models(part, measures, rows, marks=marks):
        measure, marker = measures[label]
        medians.axhline(0, color=GREY, linewidth=0.6)
        for model, style in axis.lines():
            of = of_measure(evidence, measure, "median", model)
            shown = of if model == axis.last else without_bands(of)
            line_beyond_null(medians, of["layer"], shown, style["color"], marker)
            shares = of_measure(evidence, measure, "significant_bh", model)
            passing.plot(shares["layer"], shares["value"], **style)
        passing.set_ylim(0, 1)
        percent_axis(passing.yaxis)
        layer_axis(passing, len(of))
        passing.set_visible(len(shares) > 0)
        panels += [medians, passing]
    label_lowest(panels, 2)
    axis.colour_bar(part, panels)
