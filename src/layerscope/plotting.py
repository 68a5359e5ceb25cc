"""One look for all figures: colours that colour-blind readers can tell apart, and both file formats."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from layerscope.io.files import whole_file

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F",
)  # fmt: skip
MODEL_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
MODEL_MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE: Any = {
    "figure.dpi": 200,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,
}
logging.getLogger("fontTools").setLevel(logging.WARNING)  # else a job's log is a list of glyphs
_MADE_FROM: ContextVar[str | None] = ContextVar("made_from", default=None)


@contextmanager
def made_from(digest: str) -> Iterator[None]:
    """Figures that are drawn in this block carry ``digest`` among their metadata, as keywords."""
    token = _MADE_FROM.set(digest)
    try:
        yield
    finally:
        _MADE_FROM.reset(token)


@contextmanager
def figure(outputs: list[str], width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches, saved to each of ``outputs`` (by their endings) at the end."""
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn
        shown = _lay_out(drawn)
        for output in outputs:
            metadata = {"Keywords": _MADE_FROM.get()}  # left out if None
            if Path(output).suffix == ".pdf":
                metadata["CreationDate"] = None  # without dates in the files the same data give the same bytes
            with whole_file(output) as temporary:
                drawn.savefig(temporary, metadata=metadata, bbox_inches=shown)


def _lay_out(drawn: Figure) -> Bbox:
    """Lay a figure out for all its files: matplotlib would do it twice per file, which takes longer than to draw it.

    Returns:
        What the files show, in inches: names of models may be long, and what sticks out makes the picture larger.
    """
    engine = drawn.get_layout_engine()
    assert engine is not None
    engine.execute(drawn)
    drawn.set_layout_engine(None)
    box = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    return box.padded(matplotlib.rcParams["savefig.pad_inches"])


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
