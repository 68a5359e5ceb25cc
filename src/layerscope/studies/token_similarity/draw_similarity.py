"""The figure of similarity and variance of the target's vectors, with their jackknife."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from layerscope.plotting import (
    BLUE,
    GREY,
    VERMILION,
    Entry,
    height_of_models,
    layer_axis,
    legend_below,
    log_y_axis,
    panels_of_models,
)
from layerscope.stats.jackknife_interval import half_width
from layerscope.studies.series import Series
from layerscope.training_axis import LAST, Part, TrainingAxis, figure_of_parts, not_in

ROWS = ("mean |cosine|", "variance over sentences\n(model's units, squared)")


def draw_similarity(outputs: list[str], jackknife: dict[str, pd.DataFrame], series: Sequence[Series] = ()) -> None:
    """Similarity of the dimensions of the target's vectors, with that of shuffled sentences, and their variance.

    Args:
        jackknife: model → table of :func:`token_similarity.jackknife.jackknife_layer` of all layers.
    """
    models = not_in(series, list(jackknife))
    with figure_of_parts(outputs, series, height_of_models(models, 2), 2.0) as parts:
        for axis, part in parts.series:
            _similarity_of_series(part, axis, jackknife, parts.marks)
        for model, (similarity, variance) in panels_of_models(parts.rest, models, ROWS, marks=parts.marks):
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
            (
                Patch(color=GREY, alpha=0.5, linewidth=0),
                f"95% interval for other sentences{f' ({LAST})' if series else ''}",
            ),
        ]
        legend_below(parts.drawn, entries if models else entries[-1:])


def _similarity_of_series(
    part: Part, axis: TrainingAxis, jackknife: dict[str, pd.DataFrame], marks: Iterator[str] | None
) -> None:
    columns: dict[str, tuple[str, Callable]] = {
        "mean |cosine|": ("similarity", np.asarray),
        "mean |cosine|, each dimension\nshuffled over sentences": ("shuffled", np.asarray),
        "variance over sentences\n(model's units, squared)": ("log_variance", np.exp),
    }
    panels: list[Axes] = []
    for title, (ax,) in panels_of_models(part, columns, ("",), shared=False, marks=marks):
        if columns[title][0] == "shuffled":
            ax.sharey(panels[0])
        for model, style in axis.lines():
            layers = interval_of_layers(jackknife[model], *columns[title])
            ax.plot(layers.index, layers["value"], **style)
        ax.fill_between(layers.index, layers["low"], layers["high"], color=style["color"], alpha=0.25, linewidth=0)
        layer_axis(ax, len(layers))
        panels.append(ax)
    log_y_axis(panels[-1])
    axis.colour_bar(part, panels)


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
