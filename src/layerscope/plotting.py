"""One look for all figures: sizes of a page, colours that colour-blind readers can tell apart, and all file formats."""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from layerscope.io.files import whole_file
from layerscope.io.svg import seal_svg

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F",
)  # fmt: skip
MODEL_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
MODEL_MARKERS = ("o", "s", "^", "D", "v", "P")
ONE_COLUMN, TWO_COLUMNS = 3.5, 7.2  # widths in inches: 89 and 183 mm, those of most journals
STYLE = Path(__file__).with_name("layerscope.mplstyle")
Entry = tuple[Artist, str]  # of a legend
ACROSS = 4  # models side by side, at most
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
    with matplotlib.rc_context(_style()):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn
        shown = _lay_out(drawn)
        for output in outputs:
            metadata = {"Keywords": _MADE_FROM.get()}  # left out if None
            # Without dates in the files the same data give the same bytes.
            metadata |= {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(Path(output).suffix, {})
            with whole_file(output) as temporary:
                drawn.savefig(temporary, metadata=metadata, bbox_inches=shown)
                if temporary.suffix == ".svg":
                    seal_svg(temporary)


@cache
def _style() -> Any:
    return matplotlib.rc_params_from_file(STYLE, use_default_template=False)


def _lay_out(drawn: Figure) -> Bbox:
    """Lay a figure out for all its files: matplotlib would do it twice per file, which takes longer than to draw it.

    Returns:
        What the files show, in inches: the whole figure, and what sticks out of it, for names of models may be long.
    """
    engine = drawn.get_layout_engine()
    assert engine is not None
    engine.execute(drawn)
    drawn.set_layout_engine(None)
    box = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    return Bbox.union([drawn.bbox_inches, box.padded(matplotlib.rcParams["savefig.pad_inches"])])


def panels_of_models(
    drawn: FigureBase,
    models: Iterable[str],
    rows: Sequence[str],
    shared: bool = True,
    marks: Iterator[str] | None = None,
) -> Iterator[tuple[str, list[Axes]]]:
    """Small multiples: each model with a column of panels, its name on top.

    After :data:`ACROSS` models another band of rows begins. At the end all panels get their letters, row by row.

    Args:
        rows: labels of the y axes.
        shared: whether the panels of a model have one x axis, and those of one row, of all models, one y axis.
        marks: the letters that are left, where other panels of the figure have letters too.
    """
    names = list(models)
    if not names:
        return
    across = min(len(names), ACROSS)
    bands = -(-len(names) // across)
    grid = drawn.subplots(bands * len(rows), across, squeeze=False).reshape(bands, len(rows), across)
    columns = [list(grid[band, :, i]) for band in range(bands) for i in range(across)]
    for i, column in enumerate(columns[: len(names)]):
        column[0].set_title(names[i])
        for ax, first, label in zip(column, columns[0], rows, strict=True):
            if i % across == 0:
                ax.set_ylabel(label)
            if shared:
                if ax is not first:
                    ax.sharey(first)
                if ax is not column[-1]:
                    ax.sharex(column[-1])
                ax.tick_params(labelbottom=ax is column[-1], labelleft=i % across == 0)
        yield names[i], column
        if shared:
            for ax in column[:-1]:
                ax.set_xlabel("")
    for ax in (ax for column in columns[len(names) :] for ax in column):
        ax.set_visible(False)
    letter((ax for ax in grid.ravel() if ax.get_visible()), marks)


def height_of_models(models: Collection[Any], rows: int, row: float = 1.3, around: float = 0.75) -> float:
    """Height in inches of a figure of :func:`panels_of_models`, of ``row`` inches a row; 0 without models."""
    if not len(models):
        return 0.0
    return -(-len(models) // ACROSS) * rows * row + around


def legend_below(drawn: Figure, entries: Iterable[Entry], across: int = 4) -> None:
    """A legend of handles and labels below all panels, ``across`` of them in a row at most."""
    handles, labels = zip(*entries, strict=True)
    drawn.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), across))


def letter(panels: Iterable[Axes], marks: Iterator[str] | None = None) -> None:
    """Letters before the titles of panels, in bold, if there are several or letters are taken from ``marks``."""
    axes = list(panels)
    for ax, mark in zip(axes if marks or len(axes) > 1 else [], marks or letters(), strict=False):
        ax.set_title(f"{mark}  {ax.get_title(loc='left')}".rstrip())


def letters() -> Iterator[str]:
    """a to z, aa to zz, in bold."""
    for before in ("", *ascii_lowercase):
        yield from (rf"$\mathbf{{{before}{last}}}$" for last in ascii_lowercase)


def layer_axis(ax: Axes, layers: int) -> None:
    """Whole numbers from 0 on, with a margin for markers."""
    ax.set_xlabel("layer")
    ax.set_xlim(-0.03 * layers - 0.2, 1.03 * layers - 0.8)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def by_model(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Each model's rows with the colour and marker it has in every figure, in the order of the table."""
    for i, (model, rows) in enumerate(table.groupby("model", sort=False)):
        style = {
            "color": MODEL_COLOURS[i % len(MODEL_COLOURS)],
            "marker": MODEL_MARKERS[i % len(MODEL_MARKERS)],
        }
        yield str(model), rows, style


def relative_depth_axis(ax: Axes) -> None:
    ax.set_xlabel("relative depth")
    ax.set_xlim(-0.05, 1.05)


def percent_axis(axis: Axis) -> None:
    """Label shares as percentages, with as many digits as a tick needs: matplotlib's own formatter rounds them."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:g}%".replace("-", "−"))


def log_y_axis(ax: Axes) -> None:
    """A logarithmic axis with plain numbers, of which there are some within one decade, too."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


HATCHED: Any = {"facecolor": "none", "edgecolor": GREY, "hatch": "//////", "linewidth": 0.0}
NULL = Patch(**HATCHED)  # a swatch of hatched_band


def hatched_band(ax: Axes, x: pd.Series, low: pd.Series, high: pd.Series) -> None:
    """The 95% band of a null, the same in every figure."""
    ax.fill_between(x, low, high, **HATCHED)


def line_beyond_null(ax: Axes, x: pd.Series, rows: pd.DataFrame, colour: str, marker: str, label: str = "") -> None:
    """r with its 95% interval; filled markers are outside the 95% band of their own null, open ones within.

    Intervals end at ±1: those of a few documents may be wider than r can be.

    Args:
        rows: ``value``, ``low``, ``high``, ``null_low`` and ``null_high``.
    """
    value = rows["value"]
    beyond = (value < rows["null_low"]) | (value > rows["null_high"])
    ax.fill_between(x, rows["low"].clip(-1), rows["high"].clip(upper=1), color=colour, alpha=0.25, linewidth=0)
    ax.plot(x, value, color=colour, marker=marker, markerfacecolor="white", label=label)
    ax.plot(x[beyond], value[beyond], color=colour, marker=marker, linestyle="")
