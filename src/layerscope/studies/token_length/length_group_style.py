"""How the three groups of tokens look in every figure."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from layerscope.plotting import BLUE, GREY, ORANGE
from layerscope.studies.token_length.length_groups import GROUP_NAMES, GROUPS

GROUP_COLOURS = dict(zip(GROUPS, (ORANGE, GREY, BLUE), strict=True))


def densities(ax: Axes, bins: pd.DataFrame) -> None:
    """One line per length group, each of area 1."""
    for group in GROUPS:
        edges = density(ax, bins, group, color=GROUP_COLOURS[group], linewidth=1.2, label=GROUP_NAMES[group])
    ax.set_ylim(0)
    ax.set_xlim(edges[0], edges[-1])


def density(ax: Axes, bins: pd.DataFrame, group: str, **style: Any) -> np.ndarray:
    """The line of a length group; returns the edges of the bins: [bins + 1]."""
    edges = np.append(bins["left"], bins["right"].iloc[-1])
    counts = bins[group].to_numpy()
    ax.stairs(counts / max(1, counts.sum()) / np.diff(edges), edges, **style)
    return edges
