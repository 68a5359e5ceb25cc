"""Figures of summaries of r, with what chance gives."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    by_model,
    figure,
    hatched_band,
    percent_axis,
    relative_depth_axis,
)
from layerscope.token_length.summaries import of_measure

MEASURE_STYLES = {  # name → how it is called, colour, marker
    "r": ("over tokens", BLUE, "o"),
    "r_given_frequency": ("given log frequency", ORANGE, "s"),
    "r_given_all": ("given frequency, leading space, position", VERMILION, "^"),
    "r_types": ("over types", GREEN, "D"),
}


def chance_band(ax: Axes, evidence: pd.DataFrame, model: str, statistic: str, colour: str) -> None:
    """What 95 % of the draws of chance give for a statistic of r, as a hatched band."""
    rows = of_measure(evidence, "r", statistic, model)
    hatched_band(ax, rows["relative_depth"], rows["chance_low"], rows["chance_high"], colour)


def draw_r_across_models(outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame) -> None:
    """Median r with its quartile band, and the fraction of positive r, on relative depth; all models.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    with figure(outputs, 9.2, 3.4) as drawn:
        middle, positive = drawn.subplots(1, 2)
        for model, rows, style in by_model(layers):
            depth = rows["relative_depth"]
            middle.fill_between(depth, rows["r_q25"], rows["r_q75"], color=style["color"], alpha=0.2, linewidth=0)
            label = f"{model} ({rows['neurons'].iloc[0]:,} neurons a layer)"
            middle.plot(depth, rows["r_median"], **style, markersize=4, label=label)
            positive.plot(depth, rows["fraction_positive"], **style, markersize=4, label=model)
            chance_band(middle, evidence, model, "median", style["color"])
            chance_band(positive, evidence, model, "fraction_positive", style["color"])
        middle.axhline(0, color=GREY, linewidth=0.8)
        middle.set_ylabel("Pearson r with token length")
        middle.set_title("median over neurons, band: quartiles; hatched: 95 % of chance")
        positive.axhline(0.5, color=GREY, linewidth=0.8)
        positive.set_ylabel("neurons with r > 0")
        percent_axis(positive.yaxis)
        positive.set_ylim(0, 1)
        positive.set_title(f"n = {layers['tokens'].iloc[0]:,} tokens")
        for ax in (middle, positive):
            relative_depth_axis(ax)
        handles, labels = middle.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def draw_r_spread(outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame) -> None:
    """The spread of r over the neurons of each layer, on relative depth; all models.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    with figure(outputs, 5.2, 3.4) as drawn:
        ax = drawn.subplots()
        for model, rows, style in by_model(layers):
            ax.plot(rows["relative_depth"], rows["r_std"], **style, markersize=4, label=f"{model}, standard deviation")
            chance_band(ax, evidence, model, "std", style["color"])
            between = rows["r_q95"] - rows["r_q05"]
            ax.plot(rows["relative_depth"], between, **style, markersize=3, linestyle=":", label=f"{model}, 5 to 95 %")
        relative_depth_axis(ax)
        ax.set_ylim(0)
        ax.set_ylabel("spread of r over neurons")
        ax.set_title(f"n = {layers['tokens'].iloc[0]:,} tokens; hatched: standard deviation, 95 % of chance")
        drawn.legend(loc="outside lower center", ncols=2)


def draw_r_confounds(outputs: list[str], model: str, evidence: pd.DataFrame) -> None:
    """Median r of each layer over tokens, given its confounds, and over types, and the share of neurons that pass.

    Args:
        evidence: the model's rows of evidence.csv.
    """
    with figure(outputs, 9.2, 3.6) as drawn:
        middle, passing = drawn.subplots(1, 2)
        for measure, (name, colour, marker) in MEASURE_STYLES.items():
            rows = of_measure(evidence, measure, "median")
            middle.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
            middle.plot(rows["layer"], rows["value"], color=colour, marker=marker, markersize=4, label=name)
        raw = of_measure(evidence, "r", "median")
        middle.plot(
            raw["layer"], raw["chance_low"], color=GREY, linestyle=":", linewidth=1, label="95 % of chance, over tokens"
        )
        middle.plot(raw["layer"], raw["chance_high"], color=GREY, linestyle=":", linewidth=1)
        middle.axhline(0, color=GREY, linewidth=0.8)
        middle.set_ylabel("median Pearson r with token length")
        middle.set_title(
            f"{model}: {raw['tokens'].iloc[0]:,} tokens of {raw['types'].iloc[0]:,} types "
            f"in {raw['sequences'].iloc[0]:,} sequences\nbands: 95 % intervals over sequences and types"
        )
        for measure in ("r", "r_given_all"):
            name, colour, marker = MEASURE_STYLES[measure]
            for method, line in (("bh", "-"), ("by", ":")):
                rows = of_measure(evidence, measure, f"significant_{method}")
                passing.plot(rows["layer"], rows["value"], line, color=colour, marker=marker, markersize=4)
        passing.set_ylim(0, 1)
        percent_axis(passing.yaxis)
        passing.set_ylabel("neurons with r beyond chance")
        passing.set_title(
            "at a false discovery rate of 5 % over all neurons\n(solid: Benjamini-Hochberg, dotted: -Yekutieli)"
        )
        for ax in (middle, passing):
            ax.set_xlabel("layer")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.legend(loc="outside lower center", ncols=3)
