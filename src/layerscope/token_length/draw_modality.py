"""Figures of how many modes neurons have."""

import pandas as pd
from matplotlib.ticker import PercentFormatter

from layerscope.plotting import GREY, by_model, figure, relative_depth_axis
from layerscope.token_length.draw_groups import densities

PANELS = {
    "tokens": "all tokens",
    "short_tokens": "short tokens",
    "types": "types",
    "short_types": "types of short tokens",
}
GALLERY = (2, 4)


def draw_multimodality(outputs: list[str], modality: pd.DataFrame) -> None:
    """Share of neurons of each layer whose dip passes at 5 %, beside neurons made with one mode; all models.

    Args:
        modality: modality.csv.
    """
    with figure(outputs, 9.2, 3.4) as drawn:
        axes = drawn.subplots(1, len(PANELS), sharey=True)
        for ax, (population, title) in zip(axes, PANELS.items(), strict=True):
            for model, rows, style in by_model(modality[modality["population"] == population]):
                ax.plot(rows["relative_depth"], rows["share"], **style, markersize=4, label=model)
                colour, name = style["color"], f"{model}, made with one mode"
                ax.plot(rows["relative_depth"], rows["share_unimodal"], ":", color=colour, label=name)
            ax.axhline(0.05, color=GREY, linewidth=0.8)
            relative_depth_axis(ax)
            ax.set_xlabel("relative depth")
            ax.set_title(title)
        axes[0].set_ylim(0)
        axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
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
    with figure(outputs, 9.2, 4.4) as drawn:
        axes = drawn.subplots(*GALLERY, squeeze=False).ravel()
        for ax in axes[len(top) :]:
            ax.set_visible(False)
        for ax, row in zip(axes, top.to_dict("records"), strict=False):
            bins = histograms[row["layer"]]
            densities(ax, bins[bins["neuron"] == row["neuron"]])
            ax.set_yticks([])
            ax.set_title(
                f"layer {row['layer']}, neuron {row['neuron']}\ndip {row['dip_types']:.3f}, {_p(row['p_types'])}"
            )
        title = f"{model}: neurons with the largest dip over types; density of MLP pre-activation (model's own units)"
        drawn.suptitle(title, fontsize=9, x=0.01, ha="left")
        drawn.legend(*axes[0].get_legend_handles_labels(), title="tokens", loc="outside lower center", ncols=3)


def _p(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"
