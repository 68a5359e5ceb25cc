"""Figures of multimodal neurons."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    by_model,
    figure,
    hatched_band,
    percent_axis,
    relative_depth_axis,
)
from layerscope.stats.intervals import ALPHA
from layerscope.stats.multiple_testing import passes
from layerscope.studies.token_length.length_group_style import densities
from layerscope.studies.token_length.measures import TABLE_END

PANELS = {
    "tokens": "all tokens",
    "short_tokens": "short tokens",
    "types": "types",
    "short_types": "types of short tokens",
}
NO_P = "the dip test has no p\nfor this number of values"
GALLERY = (2, 4)
CRITERIA = {"power_1e5": ("-", "p ≤ 1e-5"), "power_05": (":", "p ≤ 5%")}


def draw_multimodality(outputs: list[str], multimodality: pd.DataFrame) -> None:
    """Share of neurons of each layer whose dip passes at 5%, with that of simulated unimodal neurons; all models.

    Where p is unknown, the dips themselves.

    Args:
        multimodality: multimodality.csv.
    """
    with figure(outputs, 9.2, 3.6) as drawn:
        of_unit: dict[bool, list[Axes]] = {}  # panels of shares, and of dips
        for ax, (population, title) in zip(drawn.subplots(1, len(PANELS)), PANELS.items(), strict=True):
            shown = multimodality[multimodality["population"] == population]
            unknown = bool((shown["share"].isna() & (shown["neurons"] > 0)).any())
            (_dips if unknown else _shares)(ax, shown)
            of_unit.setdefault(unknown, []).append(ax)
            relative_depth_axis(ax)
            ax.set_xlabel("relative depth")
            ax.set_title(title)
        for unknown, (first, *others) in of_unit.items():
            top = max(ax.dataLim.y1 for ax in (first, *others))
            for ax in others:
                ax.sharey(first)
                ax.tick_params(labelleft=False)
            first.set_ylim(0, 1.05 * top)
            if unknown:
                first.set_ylabel(f"dip (no p: more than {TABLE_END:,} values)")
            else:
                percent_axis(first.yaxis)
                first.set_ylabel("neurons with dip p ≤ 5%")
        drawn.legend(*_entries(multimodality, dips=True in of_unit), loc="outside lower center", ncols=3)


def _shares(ax: Axes, shown: pd.DataFrame) -> None:
    for _, rows, style in by_model(shown):
        depth = rows["relative_depth"]
        ax.plot(depth, rows["share"], **style, markersize=4)
        _simulated(ax, depth, rows["share_unimodal"], rows["share_unimodal_low"], rows["share_unimodal_high"], style)
    ax.axhline(ALPHA, color=GREY, linewidth=0.8)


def _dips(ax: Axes, shown: pd.DataFrame) -> None:
    for _, rows, style in by_model(shown):
        depth, median, most = rows["relative_depth"], rows["dip_median_unimodal"], rows["dip_q95_unimodal"]
        ax.plot(depth, rows["dip_median"], **style, markersize=4)
        ax.plot(depth, rows["dip_q95"], "--", color=style["color"])
        _simulated(ax, depth, median, median, most, style)


def _simulated(ax: Axes, depth: pd.Series, line: pd.Series, low: pd.Series, high: pd.Series, style: dict) -> None:
    ax.plot(depth, line, ":", color=style["color"])
    hatched_band(ax, depth, low, high, style["color"])


def _entries(multimodality: pd.DataFrame, dips: bool) -> tuple[list[Line2D], list[str]]:
    """Handles and labels of the legend."""
    entries = [(Line2D([], [], markersize=4, **style), model) for model, _, style in by_model(multimodality)]
    if dips:
        entries.append((Line2D([], [], linestyle="--", color=GREY), "95th percentile of the dips (markers: median)"))
    hatched = "95%; of dips: median to 95th percentile" if dips else "95%"
    entries.append((Line2D([], [], linestyle=":", color=GREY), f"simulated unimodal neurons (hatched: {hatched})"))
    handles, labels = zip(*entries, strict=True)
    return list(handles), list(labels)


def draw_dip_power(outputs: list[str], power: dict[str, pd.DataFrame]) -> None:
    """Power of the dip test for simulated mixtures, by their separation; one row per tokenizer.

    Args:
        power: tokenizer → table of :func:`token_length.dip_test.dip_power_table`.
    """
    with figure(outputs, 9.2, 3.2 * len(power)) as drawn:
        axes = drawn.subplots(len(power), 2, sharex=True, sharey=True, squeeze=False)
        for row, (tokenizer, table) in zip(axes, power.items(), strict=True):
            for ax, (population, rows) in zip(row, table.groupby("population", sort=False), strict=True):
                _power(ax, rows)
                ax.set_title(f"tokenizer {tokenizer}: {rows['values'].iloc[0]:,} {PANELS[str(population)]}")
            row[0].set_ylabel("simulated neurons that pass")
        for ax in axes[-1]:
            ax.set_xlabel("separation of the modes (standard deviations within a mode)")
        percent_axis(axes[0, 0].yaxis)
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), title="mixture", loc="outside lower center", ncols=3)


def _power(ax: Axes, rows: pd.DataFrame) -> None:
    if rows["power_05"].isna().all():
        ax.text(0.5, 0.5, NO_P, transform=ax.transAxes, ha="center", va="center", fontsize=8)
    for (share, of), colour in zip(
        rows.groupby("share_of_smaller", sort=False), (BLUE, ORANGE, VERMILION), strict=True
    ):
        for column, (line, criterion) in CRITERIA.items():
            label = f"{100 * share:g}/{100 - 100 * share:g}, {criterion}"
            ax.plot(of["separation"], of[column], line, color=colour, label=label)


def draw_largest_dips(outputs: list[str], model: str, dips: list[pd.DataFrame], histograms: list[pd.DataFrame]) -> None:
    """Histograms by length group of a model's neurons with the largest dips over types.

    Args:
        dips: tables of neurons of its layers, in order.
        histograms: likewise of histograms.
    """
    kept = [table["neuron"].isin(bins["neuron"]) for table, bins in zip(dips, histograms, strict=True)]
    neurons = pd.concat([table[keep].assign(layer=i) for i, (table, keep) in enumerate(zip(dips, kept, strict=True))])
    top = neurons.nlargest(GALLERY[0] * GALLERY[1], "dip_types")
    with figure(outputs, 9.2, 5.2) as drawn:
        axes = drawn.subplots(*GALLERY, squeeze=False).ravel()
        for ax in axes[:: GALLERY[1]]:
            ax.set_ylabel("density")
        for ax in axes[len(top) :]:
            ax.set_visible(False)
        for ax, row in zip(axes, top.to_dict("records"), strict=False):
            bins = histograms[row["layer"]]
            densities(ax, bins[bins["neuron"] == row["neuron"]])
            ax.set_yticks([])
            ax.set_xlabel("MLP pre-activation")
            ax.xaxis.set_major_locator(MaxNLocator(5))
            ax.set_title(
                f"layer {row['layer']}, neuron {row['neuron']}\ndip {row['dip_types']:.4f}, {_p(row['p_types'])}"
            )
        title = f"{model}: the neurons with the largest dips over types, multimodal or not (model's own units)"
        drawn.suptitle(f"{title}\n{_passing(dips)}", fontsize=9, x=0.01, ha="left")
        drawn.legend(*axes[0].get_legend_handles_labels(), title="tokens", loc="outside lower center", ncols=3)


def _passing(dips: list[pd.DataFrame]) -> str:
    """How many of all neurons pass the dip test, so that the largest dips are not mistaken for multimodality."""
    p = np.concatenate([table["p_types"].to_numpy() for table in dips])
    tested = np.count_nonzero(~np.isnan(p))
    if not tested:
        return "whether they are multimodal is unknown: the dip test has no p for this number of types"
    alone, at_once = (_count(int(passed.sum())) for passed in (p <= ALPHA, passes(p, "bh")))
    return (
        f"p ≤ 5% in the dip test: {alone} of {tested:,} neurons (of unimodal ones at most {ALPHA * tested:,.0f} are "
        f"expected); at a false discovery rate of 5%: {at_once}"
    )


def _count(count: int) -> str:
    return f"{count:,}" if count else "none"


def _p(p: float) -> str:
    if np.isnan(p):
        return "p unknown"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
