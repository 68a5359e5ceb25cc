"""The figure of r with other properties of token types than their length."""

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.lines import Line2D

from layerscope.plotting import (
    GREY,
    MODEL_COLOURS,
    MODEL_MARKERS,
    Entry,
    height_of_models,
    layer_axis,
    legend_below,
    line_beyond_null,
    panels_of_models,
    percent_axis,
)
from layerscope.studies.series import Series
from layerscope.studies.token_length.measures import of_measure
from layerscope.tokenize.property_names import LENGTH
from layerscope.training_axis import Part, TrainingAxis, figure_of_parts, not_in, without_bands

ROWS = {"r": "median Pearson r\nover tokens", "r_given_all": "given frequency,\nspace, position"}  # measure → label


def draw_r_properties(
    outputs: list[str], evidence: pd.DataFrame, properties: pd.DataFrame, series: Sequence[Series] = ()
) -> None:
    """Median r of each layer with each property, raw and given all confounds, and the share of neurons that pass.

    Args:
        evidence: evidence.csv, for token length.
        properties: properties.csv.
    """
    others = properties[properties["property"] != LENGTH]
    table = pd.concat([evidence.assign(property=LENGTH), others], ignore_index=True)
    models, names = not_in(series, table["model"].unique()), table["property"].unique()
    styles = [(MODEL_COLOURS[i % len(MODEL_COLOURS)], MODEL_MARKERS[i % len(MODEL_MARKERS)]) for i in range(len(names))]
    labels = (*ROWS.values(), "neurons with r over\ntokens beyond the null")
    with figure_of_parts(outputs, series, height_of_models(models, 3), height_of_models(names, 3, 1.3, 0.1)) as parts:
        for axis, part in parts.series:
            _properties_of_series(part, axis, table, labels, parts.marks)
        for model, (*medians, passing) in panels_of_models(parts.rest, models, labels, marks=parts.marks):
            for name, (colour, marker) in zip(names, styles, strict=True):
                rows = table[(table["model"] == model) & (table["property"] == name)]
                for ax, measure in zip(medians, ROWS, strict=True):
                    of = of_measure(rows, measure, "median")
                    line_beyond_null(ax, of["layer"], of, colour, marker)
                shares = of_measure(rows, "r", "significant_bh")
                passing.plot(shares["layer"], shares["value"], color=colour, marker=marker)
            for ax in medians:
                ax.axhline(0, color=GREY, linewidth=0.6)
            passing.set_ylim(0, 1)
            percent_axis(passing.yaxis)
            layer_axis(passing, table.loc[table["model"] == model, "layer"].max() + 1)
        entries: list[Entry] = [
            (Line2D([], [], color=colour, marker=marker), name)
            for name, (colour, marker) in zip(names, styles, strict=True)
            if models
        ]
        entries += [
            (Line2D([], [], color=GREY, marker="o", linestyle=""), "median beyond its null"),
            (Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white"), "median within its null"),
        ]
        legend_below(parts.drawn, entries)


def _properties_of_series(
    part: Part, axis: TrainingAxis, table: pd.DataFrame, labels: Sequence[str], marks: Iterator[str] | None
) -> None:
    panels = []
    for name, (*medians, passing) in panels_of_models(part, table["property"].unique(), labels, marks=marks):
        for model, style in axis.lines():
            rows = table[(table["model"] == model) & (table["property"] == name)]
            for ax, measure in zip(medians, ROWS, strict=True):
                of = of_measure(rows, measure, "median")
                shown = of if model == axis.last else without_bands(of)
                line_beyond_null(ax, of["layer"], shown, style["color"], "o")
            shares = of_measure(rows, "r", "significant_bh")
            passing.plot(shares["layer"], shares["value"], **style)
        for ax in medians:
            ax.axhline(0, color=GREY, linewidth=0.6)
        passing.set_ylim(0, 1)
        percent_axis(passing.yaxis)
        layer_axis(passing, len(shares))
        panels += [*medians, passing]
    axis.colour_bar(part, panels)
