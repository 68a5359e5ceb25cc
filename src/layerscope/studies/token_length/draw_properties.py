"""The figure of r with other properties of token types than their length."""

import pandas as pd
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import GREY, MODEL_COLOURS, MODEL_MARKERS, figure, hatched_band, percent_axis
from layerscope.studies.token_length.measures import of_measure
from layerscope.tokenize.property_names import LENGTH

PANELS = {"r": "over tokens", "r_given_all": "given frequency, space, position"}  # measure → its title


def draw_r_properties(outputs: list[str], model: str, evidence: pd.DataFrame, properties: pd.DataFrame) -> None:
    """Median r of each layer with each property, raw and given all confounds, and the share of neurons that pass.

    Args:
        evidence: evidence.csv, for token length.
        properties: properties.csv.
    """
    others = properties[properties["property"] != LENGTH]
    table = pd.concat([evidence.assign(property=LENGTH), others], ignore_index=True)
    table = table[table["model"] == model]
    with figure(outputs, 9.2, 3.6) as drawn:
        panels = drawn.subplots(1, 3)
        for i, (name, rows) in enumerate(table.groupby("property", sort=False)):
            style = {"color": MODEL_COLOURS[i % len(MODEL_COLOURS)], "marker": MODEL_MARKERS[i % len(MODEL_MARKERS)]}
            for ax, measure in zip(panels, PANELS, strict=False):
                of = of_measure(rows, measure, "median")
                hatched_band(ax, of["layer"], of["null_low"], of["null_high"], style["color"])
                ax.plot(of["layer"], of["value"], **style, markersize=4, label=name)
            passing = of_measure(rows, "r", "significant_bh")
            panels[2].plot(passing["layer"], passing["value"], **style, markersize=4)
        panels[1].sharey(panels[0])
        for ax, title in zip(panels, PANELS.values(), strict=False):
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_title(title)
        panels[0].set_ylabel("median Pearson r")
        panels[2].set_ylim(0, 1)
        percent_axis(panels[2].yaxis)
        panels[2].set_ylabel("neurons with r beyond the null")
        panels[2].set_title("over tokens, at a false\ndiscovery rate of 5%")
        for ax in panels:
            ax.set_xlabel("layer")
            ax.set_xlim(-0.3, table["layer"].max() + 0.3)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        raw = of_measure(table, "r", "median").iloc[0]
        drawn.suptitle(f"{model}: {raw['tokens']:,} tokens, {raw['types']:,} types; hatched: null, 95%", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
