"""One look for all figures: colours that colour-blind readers can tell apart, and both file formats."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from layerscope.io.files import whole_file

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F",
)  # fmt: skip
MODEL_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
MODEL_MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE: Any = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",  # names of models may be long: what sticks out makes the picture larger
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,
}


@contextmanager
def figure(outputs: list[str], width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches, saved to each of ``outputs`` (by their endings) at the end."""
    with plt.rc_context(STYLE):
        drawn = plt.figure(figsize=(width, height))
        try:
            yield drawn
            for output in outputs:
                # Without dates in the files the same data give the same bytes.
                metadata = {"CreationDate": None} if Path(output).suffix == ".pdf" else {}
                with whole_file(output) as temporary:
                    drawn.savefig(temporary, metadata=metadata)
        finally:
            plt.close(drawn)


def by_model(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Each model's rows with the colour and marker it has in every figure, in the order of the table."""
    for i, (model, rows) in enumerate(table.groupby("model", sort=False)):
        style = {
            "color": MODEL_COLOURS[i % len(MODEL_COLOURS)],
            "marker": MODEL_MARKERS[i % len(MODEL_MARKERS)],
        }
        yield str(model), rows, style


def relative_depth_axis(ax: Axes) -> None:
    ax.set_xlabel("relative depth (0 first layer, 1 last)")
    ax.set_xlim(-0.03, 1.03)


def percent_axis(axis: Axis) -> None:
    """Label shares as percentages, with as many digits as a tick needs: matplotlib's own formatter rounds them."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:g}%".replace("-", "−"))


def hatched_band(ax: Axes, x: pd.Series, low: pd.Series, high: pd.Series, colour: str) -> None:
    """The 95% band of a null, the same in every figure."""
    ax.fill_between(x, low, high, facecolor="none", edgecolor=colour, hatch="////", linewidth=0.0, alpha=0.45)
