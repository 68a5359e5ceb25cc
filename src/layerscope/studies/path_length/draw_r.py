"""Figure of the correlations with the residual stream's path length."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from layerscope.plotting import (
    GREY,
    Entry,
    height_of_models,
    layer_axis,
    legend_below,
    panels_of_models,
)
from layerscope.stats.claims import FEWEST, Resamples
from layerscope.studies.path_length.draw import COLOURS, MARKERS, NAMES
from layerscope.studies.series import Series
from layerscope.training_axis import LAST, Part, TrainingAxis, figure_of_parts, not_in

KINDS = {"pearson": "r", "spearman": "rho"}  # column of layers.csv → statistic of the resamples
SUFFIXES = {"all": "_all", "without_first": ""}
STYLES = {"all": (":", 1.6), "without_first": ("-", 1.1)}  # line and its width
LABELS = [f"{kind.capitalize()}'s r with the path\nof the residual stream" for kind in KINDS]


def draw_r(
    outputs: list[str], layers: pd.DataFrame, resamples: dict[str, pd.DataFrame], series: Sequence[Series] = ()
) -> None:
    """Correlation of the path lengths of attention and MLP with that of the residual stream, per layer.

    Pearson's r above, Spearman's r below; with and without the first token of each sequence.

    Args:
        layers: from :func:`path_length.summarize_layers.layers_table`.
        resamples: model → table of :func:`path_length.jackknife.jackknife_paths`.
    """
    models = not_in(series, list(resamples))
    with figure_of_parts(outputs, series, height_of_models(models, 2, 1.5), 3.4) as parts:
        for axis, part in parts.series:
            _r_of_series(part, axis, layers, resamples, parts.marks)
        for model, panels in panels_of_models(parts.rest, models, LABELS, marks=parts.marks):
            rows, of_model = layers[layers["model"] == model], Resamples(resamples[model])
            for ax, (kind, statistic) in zip(panels, KINDS.items(), strict=True):
                ax.axhline(0, color=GREY, linewidth=0.6)
                for name in ("attn", "mlp"):
                    for token_filter, suffix in SUFFIXES.items():
                        of, name_of = rows[rows["token_filter"] == token_filter], f"{statistic}_{name}{suffix}"
                        r = of[f"r_{kind}_{name}"]
                        low, high = _interval(r, of_model, name_of)
                        ax.fill_between(of["layer"], low, high, color=COLOURS[name], alpha=0.25, linewidth=0)
                        line, width = STYLES[token_filter]
                        marker = MARKERS[name] if token_filter == "without_first" else ""
                        ax.plot(of["layer"], r, line, color=COLOURS[name], linewidth=width, marker=marker)
                ax.set_ylim(-1.05, 1.05)
                layer_axis(ax, len(of))
            panels[0].set_title(f"{model}{_few(of_model.clusters['r_mlp'])}")
            panels[1].set_title(_few(of_model.clusters["rho_mlp"]))
        entries: list[Entry] = [
            (Line2D([], [], color=COLOURS[name], marker=MARKERS[name]), NAMES[name]) for name in ("attn", "mlp")
        ]
        entries += [
            (Line2D([], [], color=GREY, linestyle=":", linewidth=1.6), "with the first token of each sequence"),
            (Patch(color=GREY, alpha=0.5, linewidth=0), f"95% interval for other text{f' ({LAST})' if series else ''}"),
        ]
        legend_below(parts.drawn, entries if models else entries[-1:])


def _interval(r: pd.Series, resamples: Resamples, name: str) -> np.ndarray:
    half_width = resamples.half_width(resamples.of("jackknife", name)[0], name)
    return np.clip([r - half_width, r + half_width], -1, 1)


def _r_of_series(
    part: Part,
    axis: TrainingAxis,
    layers: pd.DataFrame,
    resamples: dict[str, pd.DataFrame],
    marks: Iterator[str] | None,
) -> None:
    """A column for each of the two outputs, without and with the first token of each sequence."""
    columns = {
        NAMES[name] + (",\nwith first tokens" if token_filter == "all" else ""): (name, token_filter)
        for name, token_filter in product(("attn", "mlp"), ("without_first", "all"))
    }
    of_last, every = Resamples(resamples[axis.last]), []
    for title, panels in panels_of_models(part, columns, LABELS, marks=marks):
        name, token_filter = columns[title]
        rows = layers[layers["token_filter"] == token_filter]
        for ax, (kind, statistic) in zip(panels, KINDS.items(), strict=True):
            for model, style in axis.lines():
                of = rows[rows["model"] == model]
                r = of[f"r_{kind}_{name}"]
                ax.plot(of["layer"], r, **style)
            interval = _interval(r, of_last, f"{statistic}_{name}{SUFFIXES[token_filter]}")
            ax.fill_between(of["layer"], *interval, color=style["color"], alpha=0.25, linewidth=0)
            ax.axhline(0, color=GREY, linewidth=0.6)
            ax.set_ylim(-1.05, 1.05)
            layer_axis(ax, len(of))
        every += panels
    axis.colour_bar(part, every)


def _few(clusters: int) -> str:
    return "" if clusters >= FEWEST else f" (fewer than {FEWEST} clusters:\ndo not trust the intervals)"
