"""Figures of path lengths."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    BLUE,
    GREEN,
    TWO_COLUMNS,
    VERMILION,
    Entry,
    by_model,
    figure,
    height_of_models,
    layer_axis,
    legend_below,
    letter,
    letters,
    log_y_axis,
    panels_of_models,
    relative_depth_axis,
)
from layerscope.studies.path_length.path_shards import read_path_shard
from layerscope.studies.series import Series
from layerscope.training_axis import Part, TrainingAxis, figure_of_parts, label_lowest, not_in

NAMES = {"attn": "attention output", "mlp": "MLP output", "resid": "residual stream"}
FILTERS = {"all": "all tokens", "without_first": "without the first token of each sequence"}
COLOURS = {"attn": BLUE, "mlp": VERMILION, "resid": GREEN}
MARKERS = {"attn": "o", "mlp": "s", "resid": "^"}


def draw_lengths(outputs: list[str], shards: dict[str, str], series: Sequence[Series] = ()) -> None:
    """Heatmaps of layer × token for the three path lengths of the first sequence of the sample; one row per model.

    A series has one row, of revision × token, with the lengths summed over layers. Position 0 has a panel and a scale
    of its own, because its values would set the scale for all others.

    Args:
        shards: model → path of its first path shard.
    """
    models = not_in(series, list(shards))
    with figure_of_parts(outputs, series, 2.0 * len(models) + 0.2 * bool(models), 2.0) as parts:
        marks = parts.marks or letters()
        for axis, part in parts.series:
            of_tokens = [_lengths_of_tokens(shards[model]) for model in axis.models]
            summed = {name: np.stack([np.nansum(of[name], axis=0) for of in of_tokens]) for name in NAMES}
            panels = part.subplots(1, 6, width_ratios=[1, 9] * 3)
            _heatmaps(part, panels, summed, axis.label, marks)
            for ax in panels[::2]:
                axis.rows(ax, 1.2)
                ax.tick_params(labelleft=ax is panels[0])
        if not models:
            return
        panels = parts.rest.subplots(len(models), 6, width_ratios=[1, 9] * 3, squeeze=False)
        for row, model in zip(panels, models, strict=True):
            _heatmaps(parts.rest, row, _lengths_of_tokens(shards[model]), f"{model}\nlayer", marks)


def _lengths_of_tokens(shard: str) -> dict[str, np.ndarray]:
    """Name of a path → its length in each layer, for the tokens of the first sequence: [layers, tokens]."""
    read = read_path_shard(shard)
    length = int(read.tokens.position.max()) + 1
    return {name: read.quantities[f"path_{name}"][:, :length].astype(np.float64) for name in NAMES}


def _heatmaps(
    part: Part, row: Sequence[Axes], lengths: dict[str, np.ndarray], label: str, marks: Iterator[str]
) -> None:
    """Heatmaps of rows × tokens in six panels, of which every other has position 0 alone."""
    for i, (name, title) in enumerate(NAMES.items()):
        first, rest = row[2 * i], row[2 * i + 1]
        edges = np.arange(len(lengths[name]) + 1) - 0.5
        for ax, shown, positions in (
            (first, lengths[name][:, :1], [-0.5, 0.5]),
            (rest, lengths[name][:, 1:], np.arange(lengths[name].shape[1]) + 0.5),
        ):
            high = np.nanquantile(shown, 0.995)
            image = ax.pcolormesh(positions, edges, shown, vmin=0, vmax=high, rasterized=True)
            ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            bar = part.colorbar(image, ax=ax, location="top", aspect=20 if ax is rest else 3)
            bar.set_ticks([0, high], labels=["0", f"{high:.3g}"])
        bar.set_label(f"{next(marks)}  {title} (stream's units)")  # of the wider panel
        first.set_xticks([0])
        first.set_ylabel(label if i == 0 else "")
        rest.set_yticklabels([])
        rest.set_xlabel("position in the sequence")


def draw_mean_length(
    outputs: list[str], layers: pd.DataFrame, token_filter: str, series: Sequence[Series] = ()
) -> None:
    """Mean path length and mean step of each layer, one panel per model."""
    chosen = layers[layers["token_filter"] == token_filter]
    models, labels = not_in(series, chosen["model"].unique()), ("mean over tokens\n(stream's units)",)
    with figure_of_parts(outputs, series, height_of_models(models, 1, 1.9), 3.0) as parts:
        for axis, part in parts.series:
            _means_of_series(part, axis, chosen, parts.marks)
        for model, (ax,) in panels_of_models(parts.rest, models, labels, shared=False, marks=parts.marks):
            rows = chosen[chosen["model"] == model]
            for name in NAMES:
                style: Any = {"color": COLOURS[name], "marker": MARKERS[name]}
                ax.plot(rows["layer"], rows[f"length_{name}"], **style)
                if name != "resid":
                    ax.plot(rows["layer"], rows[f"step_{name}"], ":", color=COLOURS[name])
            log_y_axis(ax)
            layer_axis(ax, len(rows))
            ax.set_title(f"{model}: n = {rows['tokens'].iloc[0]:,} tokens")
        entries: list[Entry] = [
            (Line2D([], [], color=COLOURS[name], marker=MARKERS[name]), title) for name, title in NAMES.items()
        ]
        entries += [
            (Line2D([], [], color=COLOURS[name], linestyle=":"), f"step of {NAMES[name]}") for name in ("attn", "mlp")
        ]
        if models:
            legend_below(parts.drawn, entries, 5)


def _means_of_series(part: Part, axis: TrainingAxis, chosen: pd.DataFrame, marks: Iterator[str] | None) -> None:
    """Path lengths above, steps below; the residual stream has no step of its own."""
    streams, panels = {title: name for name, title in NAMES.items()}, []
    labels = ("mean path length\n(stream's units)", "mean step\n(stream's units)")
    for title, (paths, steps) in panels_of_models(part, streams, labels, marks=marks):
        for model, style in axis.lines():
            rows = chosen[chosen["model"] == model]
            paths.plot(rows["layer"], rows[f"length_{streams[title]}"], **style)
            if streams[title] != "resid":
                steps.plot(rows["layer"], rows[f"step_{streams[title]}"], **style)
        for ax in (paths, steps):
            log_y_axis(ax)
            layer_axis(ax, len(rows))
        steps.set_visible(streams[title] != "resid")
        panels += [paths, steps]
    label_lowest(panels, 2)
    axis.colour_bar(part, panels)


def draw_cumulative(outputs: list[str], layers: pd.DataFrame, token_filter: str, series: Sequence[Series] = ()) -> None:
    """The path so far as a fraction of the total, against relative depth, for all models."""
    chosen = layers[layers["token_filter"] == token_filter]
    axes = [TrainingAxis(one) for one in series]
    of_rest = chosen[chosen["model"].isin(not_in(series, chosen["model"].unique()))]
    with figure(outputs, TWO_COLUMNS, 2.5) as drawn:
        panels = drawn.subplots(1, 3, sharey=True)
        for ax, (name, title) in zip(panels, NAMES.items(), strict=True):
            for axis in axes:
                for model, style in axis.lines():
                    rows = chosen[chosen["model"] == model]
                    path = rows[f"cumulative_{name}"]
                    ax.plot(rows["relative_depth"], path / path.iloc[-1], **style)
            for model, rows, style in by_model(of_rest):
                path = rows[f"cumulative_{name}"]
                label = f"{model} (n = {rows['tokens'].iloc[0]:,} tokens)"
                ax.plot(rows["relative_depth"], path / path.iloc[-1], **style, label=label)
            relative_depth_axis(ax)
            totals = [f"{total} to {end}" for total, end in (_ends(chosen, axis, name) for axis in axes)]
            total = f"total {', '.join([*totals, *_totals(of_rest, name)])}"
            ax.set_title(f"{title}:\n{total}" if series else f"{title}: {total}")
        panels[0].set_ylabel("fraction of the total path so far")
        letter(panels)
        for axis in axes:
            axis.colour_bar(drawn, panels, f"{axis.title}, {axis.label}")
        if len(of_rest):
            legend_below(drawn, zip(*panels[0].get_legend_handles_labels(), strict=True))


def _ends(layers: pd.DataFrame, axis: TrainingAxis, name: str) -> list[str]:
    """Totals of the first revision and of the last."""
    ends = (layers[layers["model"] == model] for model in (axis.models[0], axis.last))
    return [f"{rows[f'cumulative_{name}'].iloc[-1]:.3g}" for rows in ends]


def _totals(layers: pd.DataFrame, name: str) -> list[str]:
    return [f"{rows[f'cumulative_{name}'].iloc[-1]:.3g}" for _, rows, _ in by_model(layers)]
