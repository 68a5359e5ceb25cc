"""Figures of multimodal neurons."""

from collections.abc import Collection, Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from layerscope.plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    TWO_COLUMNS,
    VERMILION,
    Entry,
    figure,
    height_of_models,
    layer_axis,
    legend_below,
    letter,
    panels_of_models,
    percent_axis,
)
from layerscope.stats.intervals import ALPHA
from layerscope.studies.series import Series
from layerscope.studies.token_length.measures import TABLE_END
from layerscope.training_axis import LAST, Part, TrainingAxis, figure_of_parts, label_lowest, not_in

POPULATIONS = {  # name → label, colour, marker
    "tokens": ("all tokens", BLUE, "o"),
    "short_tokens": ("short tokens", ORANGE, "s"),
    "types": ("types", VERMILION, "^"),
    "short_types": ("types of short tokens", GREEN, "D"),
}
NO_P = "the dip test has no p\nfor this number of values"
CRITERIA = {"power_1e5": ("-", "p ≤ 1e-5"), "power_05": (":", "p ≤ 5%")}
APART = 0.12  # layers between the bars of two populations


def draw_multimodality(outputs: list[str], multimodality: pd.DataFrame, series: Sequence[Series] = ()) -> None:
    """Share of neurons of each layer whose dip passes at 5%, with that of simulated unimodal neurons.

    Where p is unknown, another row has the dips themselves.

    Args:
        multimodality: multimodality.csv.
    """
    unknown = multimodality["share"].isna() & (multimodality["neurons"] > 0)
    of_dips = set(multimodality.loc[unknown, "population"])
    labels = [
        label
        for label, some in (
            ("neurons with dip p ≤ 5%", len(of_dips) < len(POPULATIONS)),
            (f"dip (no p: more than\n{TABLE_END:,} values)", bool(of_dips)),
        )
        if some
    ]
    models = not_in(series, multimodality["model"].unique())
    rest = height_of_models(models, len(labels), 1.5, 0.9)
    with figure_of_parts(outputs, series, rest, 1.5 * len(labels) + 0.2) as parts:
        for axis, part in parts.series:
            _multimodality_of_series(part, axis, multimodality, labels, of_dips, parts.marks)
        for model, panels in panels_of_models(parts.rest, models, labels, marks=parts.marks):
            of_model = multimodality[multimodality["model"] == model]
            for i, (population, (_, colour, marker)) in enumerate(POPULATIONS.items()):
                rows, style = of_model[of_model["population"] == population], {"color": colour, "marker": marker}
                beside = rows["layer"] + (i - 1.5) * APART
                if population in of_dips:
                    _dips(panels[-1], beside, rows, style)
                else:
                    _shares(panels[0], beside, rows, style)
            if len(of_dips) < len(POPULATIONS):
                panels[0].axhline(ALPHA, color=GREY, linewidth=0.6)
                percent_axis(panels[0].yaxis)
            for ax in panels:
                layer_axis(ax, len(rows))
        for ax in [*parts.rest.axes] if models else []:
            ax.set_ylim(-0.03 * ax.get_ylim()[1])  # whole markers at zero
        entries: list[Entry] = [
            (Line2D([], [], color=colour, marker=marker), name) for name, colour, marker in POPULATIONS.values()
        ]
        simulated = f"simulated unimodal neurons ({LAST})" if series else "simulated unimodal neurons"
        entries.append((Line2D([], [], color=GREY, linewidth=3, alpha=0.5), simulated))
        legend_below(parts.drawn, entries if models else entries[-1:], 5)


def _multimodality_of_series(
    part: Part,
    axis: TrainingAxis,
    multimodality: pd.DataFrame,
    labels: Sequence[str],
    of_dips: Collection[str],
    marks: Iterator[str] | None,
) -> None:
    populations, panels = {POPULATIONS[population][0]: population for population in POPULATIONS}, []
    for title, column in panels_of_models(part, populations, labels, marks=marks):
        of = multimodality[multimodality["population"] == populations[title]]
        draw, ax = (_dips, column[-1]) if populations[title] in of_dips else (_shares, column[0])
        for model, style in axis.lines():
            rows = of[of["model"] == model]
            draw(ax, rows["layer"], rows, style, simulated=model == axis.last)
        if populations[title] not in of_dips:
            ax.axhline(ALPHA, color=GREY, linewidth=0.6)
            percent_axis(ax.yaxis)
        layer_axis(column[-1], len(rows))
        for other in column:
            other.set_visible(other is ax)
        panels += column
    for ax in panels:
        ax.set_ylim(-0.03 * ax.get_ylim()[1])  # whole markers at zero
    label_lowest(panels, len(labels))
    axis.colour_bar(part, panels)


def _shares(ax: Axes, x: pd.Series, rows: pd.DataFrame, style: dict, simulated: bool = True) -> None:
    if simulated:
        of_unimodal = rows["share_unimodal_low"], rows["share_unimodal_high"]
        ax.vlines(x, *of_unimodal, color=style["color"], alpha=0.4, linewidth=3)
    ax.plot(x, rows["share"], **style)


def _dips(ax: Axes, x: pd.Series, rows: pd.DataFrame, style: dict, simulated: bool = True) -> None:
    if simulated:
        of_unimodal = rows["dip_median_unimodal"], rows["dip_q95_unimodal"]
        ax.vlines(x, *of_unimodal, color=style["color"], alpha=0.4, linewidth=3)
    ax.plot(x, rows["dip_median"], **style)
    ax.plot(x, rows["dip_q95"], "--", color=style["color"])


def draw_dip_power(outputs: list[str], power: dict[str, pd.DataFrame]) -> None:
    """Power of the dip test for simulated mixtures, by their separation; one row per tokenizer.

    Args:
        power: tokenizer → table of :func:`token_length.dip_test.dip_power_table`.
    """
    with figure(outputs, TWO_COLUMNS, 1.9 * len(power) + 0.5) as drawn:
        axes = drawn.subplots(len(power), 2, sharex=True, sharey=True, squeeze=False)
        for row, (tokenizer, table) in zip(axes, power.items(), strict=True):
            for ax, (population, rows) in zip(row, table.groupby("population", sort=False), strict=True):
                _power(ax, rows)
                ax.set_title(f"tokenizer {tokenizer}: {rows['values'].iloc[0]:,} {POPULATIONS[str(population)][0]}")
            row[0].set_ylabel("simulated neurons that pass")
        for ax in axes[-1]:
            ax.set_xlabel("separation of the modes (standard deviations within a mode)")
        percent_axis(axes[0, 0].yaxis)
        letter(axes.ravel())
        entries = zip(*axes[0, 0].get_legend_handles_labels(), strict=True)
        legend_below(drawn, [(handle, f"mixture {label}") for handle, label in entries], 3)


def _power(ax: Axes, rows: pd.DataFrame) -> None:
    if rows["power_05"].isna().all():
        ax.text(0.5, 0.5, NO_P, transform=ax.transAxes, ha="center", va="center")
    styles = ((BLUE, "o"), (ORANGE, "s"), (VERMILION, "^"))
    for (share, of), (colour, marker) in zip(rows.groupby("share_of_smaller", sort=False), styles, strict=True):
        for column, (line, criterion) in CRITERIA.items():
            label = f"{100 * share:g}/{100 - 100 * share:g}, {criterion}"
            ax.plot(of["separation"], of[column], line, color=colour, marker=marker, label=label)
