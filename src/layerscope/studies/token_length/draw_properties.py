"""The figure of r with other properties of token types than their length."""

import pandas as pd
from matplotlib.lines import Line2D

from layerscope.plotting import (
    GREY,
    MODEL_COLOURS,
    MODEL_MARKERS,
    TWO_COLUMNS,
    Entry,
    figure,
    height_of_models,
    layer_axis,
    legend_below,
    line_beyond_null,
    panels_of_models,
    percent_axis,
)
from layerscope.studies.token_length.measures import of_measure
from layerscope.tokenize.property_names import LENGTH

ROWS = {"r": "median Pearson r\nover tokens", "r_given_all": "given frequency,\nspace, position"}  # measure → label


def draw_r_properties(outputs: list[str], evidence: pd.DataFrame, properties: pd.DataFrame) -> None:
    """Median r of each layer with each property, raw and given all confounds, and the share of neurons that pass.

    Args:
        evidence: evidence.csv, for token length.
        properties: properties.csv.
    """
    others = properties[properties["property"] != LENGTH]
    table = pd.concat([evidence.assign(property=LENGTH), others], ignore_index=True)
    models, names = table["model"].unique(), table["property"].unique()
    styles = [(MODEL_COLOURS[i % len(MODEL_COLOURS)], MODEL_MARKERS[i % len(MODEL_MARKERS)]) for i in range(len(names))]
    labels = (*ROWS.values(), "neurons with r over\ntokens beyond the null")
    with figure(outputs, TWO_COLUMNS, height_of_models(models, 3)) as drawn:
        for model, (*medians, passing) in panels_of_models(drawn, models, labels):
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
        ]
        entries += [
            (Line2D([], [], color=GREY, marker="o", linestyle=""), "median beyond its null"),
            (Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white"), "median within its null"),
        ]
        legend_below(drawn, entries)
