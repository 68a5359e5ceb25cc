"""Figure of the distribution of r over the neurons of each layer."""

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from scipy.stats import gaussian_kde

from layerscope.plotting import GREY, VERMILION, figure
from layerscope.studies.token_length.measures import of_measure

R_LABEL = "Pearson r of activation and token length"


def draw_r_by_layer(outputs: list[str], model: str, tables: list[pd.DataFrame], evidence: pd.DataFrame) -> None:
    """The distribution of r over neurons in every layer: as lines, and as a heatmap with the median.

    Args:
        tables: tables of neurons, in the order of the layers.
        evidence: evidence.csv.
    """
    r = [table["r_pearson"].dropna().to_numpy() for table in tables]
    limit = np.ceil(np.quantile(np.abs(np.concatenate(r)), 0.999) * 20) / 20
    at = np.linspace(-limit, limit, 241)
    # Scott's rule smooths the sampling noise of a few hundred neurons and keeps real humps.
    density = np.stack([gaussian_kde(values)(at) for values in r])
    with figure(outputs, 9.2, 3.6) as drawn:
        lines, heat = drawn.subplots(1, 2)
        colours = ScalarMappable(Normalize(0, max(len(r) - 1, 1)), "viridis")
        for layer, row in enumerate(density):
            lines.plot(at, row, color=colours.to_rgba(np.array(layer)), linewidth=1.2)
        lines.axvline(0, color=GREY, linewidth=0.8)
        lines.set_ylim(0)
        lines.xaxis.set_major_locator(MaxNLocator(7))
        lines.set_xlabel(R_LABEL)
        lines.set_ylabel("density over neurons")
        lines.set_title(f"{model}: {len(r[0]):,} neurons per layer, n = {tables[0]['tokens'].iloc[0]:,} tokens")
        bar = drawn.colorbar(colours, ax=lines, label="layer")
        bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))

        # Layers from the bottom up, as the stream runs.
        image = heat.pcolormesh(at, np.arange(len(r)), density, cmap="cividis", shading="nearest", rasterized=True)
        heat.plot(
            [np.median(values) for values in r], range(len(r)), "o-", color=VERMILION, markersize=3, label="median"
        )
        null = of_measure(evidence, "r", "median", model)
        heat.hlines(
            null["layer"],
            null["null_low"],
            null["null_high"],
            color="black",
            linewidth=1.6,
            label="95% null band of the median",
        )
        heat.axvline(0, color="white", linewidth=0.8, linestyle=":")
        heat.xaxis.set_major_locator(MaxNLocator(7))
        heat.set_xlabel(R_LABEL)
        heat.set_ylabel("layer")
        heat.yaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.legend(*heat.get_legend_handles_labels(), loc="outside lower right", ncols=2)
        drawn.colorbar(image, ax=heat, label="density over neurons")
