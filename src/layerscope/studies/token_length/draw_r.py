"""Figures of summaries of r, with their nulls."""

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
from layerscope.studies.token_length.measures import of_measure

MEASURE_STYLES = {  # name → label, colour, marker
    "r": ("over tokens", BLUE, "o"),
    "r_given_frequency": ("given frequency", ORANGE, "s"),
    "r_given_all": ("given frequency, space, position", VERMILION, "^"),
    "r_types": ("over types", GREEN, "D"),
}

CLUSTERS = {"documents": "this vocabulary, other text", "types": "new token types"}  # what an interval is for


def hatched_null(ax: Axes, evidence: pd.DataFrame, model: str, statistic: str, colour: str) -> None:
    """The 95% band of a statistic of r over tokens under its null, hatched."""
    rows = of_measure(evidence, "r", statistic, model)
    hatched_band(ax, rows["relative_depth"], rows["null_low"], rows["null_high"], colour)


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
            label = f"{model} ({rows['neurons'].iloc[0]:,} neurons per layer)"
            middle.plot(depth, rows["r_median"], **style, markersize=4, label=label)
            positive.plot(depth, rows["fraction_positive"], **style, markersize=4, label=model)
            hatched_null(middle, evidence, model, "median", style["color"])
            hatched_null(positive, evidence, model, "fraction_positive", style["color"])
        middle.axhline(0, color=GREY, linewidth=0.8)
        middle.set_ylabel("Pearson r with token length")
        middle.set_title("median over neurons; band: quartiles; hatched: null, 95%")
        positive.axhline(0.5, color=GREY, linewidth=0.8)
        positive.set_ylabel("neurons with r > 0")
        percent_axis(positive.yaxis)
        positive.set_ylim(0, 1)
        positive.set_title(f"n = {layers['tokens'].iloc[0]:,} tokens")
        for ax in (middle, positive):
            relative_depth_axis(ax)
        handles, labels = middle.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels) if len(labels) < 4 else 2)


def draw_r_spread(outputs: list[str], layers: pd.DataFrame, evidence: pd.DataFrame) -> None:
    """The spread of r over the neurons of each layer, on relative depth; all models.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.
    """
    with figure(outputs, 9.2, 3.4) as drawn:
        seen, beyond = drawn.subplots(1, 2)
        for model, rows, style in by_model(layers):
            seen.plot(
                rows["relative_depth"], rows["r_std"], **style, markersize=4, label=f"{model}, standard deviation"
            )
            hatched_null(seen, evidence, model, "std", style["color"])
            between = rows["r_q95"] - rows["r_q05"]
            seen.plot(
                rows["relative_depth"], between, **style, markersize=3, linestyle=":", label=f"{model}, 5% to 95%"
            )
            hatched_null(beyond, evidence, model, "variance", style["color"])
            variance = of_measure(evidence, "r", "variance", model)
            depth, (value, low, high) = variance["relative_depth"], (variance[c] for c in ("value", "low", "high"))
            beyond.fill_between(depth, low, high, color=style["color"], alpha=0.2, linewidth=0)
            beyond.plot(depth, value, **style, markersize=4)
        seen.set_ylim(0)
        seen.set_ylabel("spread of r over neurons")
        seen.set_title(f"n = {layers['tokens'].iloc[0]:,} tokens; hatched: null of the standard deviation, 95%")
        beyond.axhline(0, color=GREY, linewidth=0.8)
        beyond.set_ylabel("variance of r over neurons")
        beyond.set_title(
            f"minus the part due to the errors of r; hatched: null, 95%\nband: 95% interval ({CLUSTERS['documents']})"
        )
        for ax in (seen, beyond):
            relative_depth_axis(ax)
        drawn.legend(*seen.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def draw_r_confounds(outputs: list[str], model: str, evidence: pd.DataFrame) -> None:
    """Median r of each layer over tokens, given its confounds, and over types, and the share of neurons that pass.

    Args:
        evidence: evidence.csv.
    """
    evidence = evidence[evidence["model"] == model]
    with figure(outputs, 9.2, 6.0) as drawn:
        panels = drawn.subplots(2, 3).ravel()
        medians, passing = panels[:4], panels[4]
        panels[5].set_visible(False)
        for ax, (measure, (name, colour, marker)) in zip(medians, MEASURE_STYLES.items(), strict=True):
            rows = of_measure(evidence, measure, "median")
            hatched_band(ax, rows["layer"], rows["null_low"], rows["null_high"], GREY)
            ax.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.3, linewidth=0)
            ax.plot(rows["layer"], rows["value"], color=colour, marker=marker, markersize=4)
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_title(f"{name}\n(interval: {CLUSTERS[rows['clustered_by'].iloc[0]]})")
            ax.sharey(medians[0])
        for ax in (medians[0], medians[3]):
            ax.set_ylabel("median Pearson r with length")
        for measure in ("r", "r_given_all"):
            name, colour, marker = MEASURE_STYLES[measure]
            for method, line in (("bh", "-"), ("by", ":")):
                rows = of_measure(evidence, measure, f"significant_{method}")
                passing.plot(rows["layer"], rows["value"], line, color=colour, marker=marker, markersize=4)
        passing.set_ylim(0, 1)
        percent_axis(passing.yaxis)
        passing.set_ylabel("neurons with r beyond the null")
        passing.set_title("at a false discovery rate of 5%\n(solid: Benjamini–Hochberg, dotted: –Yekutieli)")
        for ax in panels[:5]:
            ax.set_xlabel("layer")
            ax.set_xlim(-0.3, evidence["layer"].max() + 0.3)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        raw = of_measure(evidence, "r", "median").iloc[0]
        drawn.suptitle(
            f"{model}: tokens {raw['tokens']:,}, types {raw['types']:,}, documents {raw['documents']:,}; "
            "shaded: 95% interval, hatched: null, 95%",
            fontsize=9,
        )
