"""Figures of how many modes neurons have."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.inference import ALPHA, passes
from layerscope.plotting import GREY, by_model, figure, percent_axis, relative_depth_axis
from layerscope.token_length.draw_groups import densities

PANELS = {
    "tokens": "all tokens",
    "short_tokens": "short tokens",
    "types": "types",
    "short_types": "types of short tokens",
}
NO_P = "the dip test has no p\nfor this number of values"
GALLERY = (2, 4)


def draw_multimodality(outputs: list[str], modality: pd.DataFrame) -> None:
    """Share of neurons of each layer whose dip passes at 5 %, beside neurons made with one mode; all models.

    Args:
        modality: modality.csv.
    """
    with figure(outputs, 9.2, 3.4) as drawn:
        axes = drawn.subplots(1, len(PANELS), sharey=True)
        for ax, (population, title) in zip(axes, PANELS.items(), strict=True):
            shown = modality[modality["population"] == population]
            for model, rows, style in by_model(shown):
                ax.plot(rows["relative_depth"], rows["share"], **style, markersize=4, label=model)
                colour, name = style["color"], f"{model}, made with one mode"
                ax.plot(rows["relative_depth"], rows["share_unimodal"], ":", color=colour, label=name)
            if shown["share"].isna().all():
                ax.text(0.5, 0.5, NO_P, transform=ax.transAxes, ha="center", va="bottom", fontsize=8)
            ax.axhline(ALPHA, color=GREY, linewidth=0.8)
            relative_depth_axis(ax)
            ax.set_xlabel("relative depth")
            ax.set_title(title)
        axes[0].set_ylim(0)
        percent_axis(axes[0].yaxis)
        axes[0].set_ylabel("neurons with dip p ≤ 5 %")
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_modes(outputs: list[str], model: str, modality: list[pd.DataFrame], histograms: list[pd.DataFrame]) -> None:
    """Histograms by length group of a model's neurons with the largest dips over types.

    Args:
        modality: tables of neurons of its layers, in order.
        histograms: likewise of histograms.
    """
    kept = [table["neuron"].isin(bins["neuron"]) for table, bins in zip(modality, histograms, strict=True)]
    neurons = pd.concat(
        [table[keep].assign(layer=i) for i, (table, keep) in enumerate(zip(modality, kept, strict=True))]
    )
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
        title = f"{model}: the neurons with the largest dips over types, several modes or not (model's own units)"
        drawn.suptitle(f"{title}\n{_passing(modality)}", fontsize=9, x=0.01, ha="left")
        drawn.legend(*axes[0].get_legend_handles_labels(), title="tokens", loc="outside lower center", ncols=3)


def _passing(modality: list[pd.DataFrame]) -> str:
    """How many of all neurons the dip test takes for multimodal, so that the largest dips are not taken for modes."""
    p = np.concatenate([table["p_types"].to_numpy() for table in modality])
    tested = np.count_nonzero(~np.isnan(p))
    if not tested:
        return "whether they have several modes is unknown: the dip test has no p for this number of types"
    alone, at_once = (_count(int(passed.sum())) for passed in (p <= ALPHA, passes(p, "bh")))
    return (
        f"p ≤ 5 % in the dip test: {alone} of {tested:,} neurons ({ALPHA * tested:,.0f} at most are expected with one "
        f"mode); at a false discovery rate of 5 %: {at_once}"
    )


def _count(count: int) -> str:
    return f"{count:,}" if count else "none"


def _p(p: float) -> str:
    if np.isnan(p):
        return "p unknown"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
