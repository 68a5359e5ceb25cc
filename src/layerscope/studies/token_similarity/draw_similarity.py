"""The figure of similarity and variance of the target's vectors, with their jackknife."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from layerscope.plotting import (
    BLUE,
    GREY,
    TWO_COLUMNS,
    VERMILION,
    Entry,
    figure,
    height_of_models,
    layer_axis,
    legend_below,
    log_y_axis,
    panels_of_models,
)
from layerscope.stats.jackknife_interval import half_width

ROWS = ("mean |cosine|", "variance over sentences\n(model's units, squared)")


def draw_similarity(outputs: list[str], jackknife: dict[str, pd.DataFrame]) -> None:
    """Similarity of the dimensions of the target's vectors, with that of shuffled sentences, and their variance.

    Args:
        jackknife: model → table of :func:`token_similarity.jackknife.jackknife_layer` of all layers.
    """
    with figure(outputs, TWO_COLUMNS, height_of_models(jackknife, 2)) as drawn:
        for model, (similarity, variance) in panels_of_models(drawn, jackknife, ROWS):
            for ax, column, colour, style, scale in (
                (similarity, "similarity", BLUE, "o-", np.asarray),
                (similarity, "shuffled", VERMILION, "s--", np.asarray),
                (variance, "log_variance", BLUE, "o-", np.exp),
            ):
                layers = interval_of_layers(jackknife[model], column, scale)
                ax.fill_between(layers.index, layers["low"], layers["high"], color=colour, alpha=0.25, linewidth=0)
                ax.plot(layers.index, layers["value"], style, color=colour)
            log_y_axis(variance)
            layer_axis(variance, len(layers))
        entries: list[Entry] = [
            (Line2D([], [], color=BLUE, marker="o"), "target"),
            (Line2D([], [], color=VERMILION, marker="s", linestyle="--"), "each dimension shuffled over sentences"),
            (Patch(color=GREY, alpha=0.5, linewidth=0), "95% interval for other sentences"),
        ]
        legend_below(drawn, entries)


def interval_of_layers(table: pd.DataFrame, column: str, scale: Callable) -> pd.DataFrame:
    """Value and interval of each layer: from the jackknife, and then on the scale that is drawn."""
    rows = []
    for layer, of in table.groupby("layer"):
        values = of.set_index("resample")[column]
        resamples = values.drop(-1).to_numpy()
        width = half_width(resamples, len(resamples) - 1)
        ends = scale([values[-1], values[-1] - width, values[-1] + width])
        rows.append({"layer": layer, **dict(zip(("value", "low", "high"), ends, strict=True))})
    return pd.DataFrame(rows).set_index("layer")
