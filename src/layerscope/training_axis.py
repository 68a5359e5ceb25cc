"""Revisions of one model along an axis of figures: colours from dark to light, or positions, by training step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from layerscope.plotting import TWO_COLUMNS, figure, letters
from layerscope.studies.series import Series

# Perceptually uniform, and for colour-blind readers too; its end is too light for lines on white. Depth is in viridis.
COLOURS = ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0, 0.9, 256)))
NEAR_ZERO = 0.45  # of which matplotlib makes half a decade, with base 10: linscale / (1 - 1 / base)
LONGEST = 12  # characters of a revision's name in a figure
LAST = "of revisions: the last"  # whose bands are drawn
MOST = 5  # revisions with pictures of their own
BAR: Any = {"aspect": 25, "pad": 0.01}
TITLE = 0.25  # height of a part's title, in inches


Part = Figure | SubFigure


class TrainingAxis:
    """The axis of one series.

    Its scale is logarithmic, with 0, if there is a revision of step 0, half a decade below the next. Where revisions
    have no steps they are evenly spaced, in their order.
    """

    def __init__(self, series: Series) -> None:
        self.name, self.models, steps = series["name"], series["models"], series["steps"]
        self.values = steps or list(range(len(self.models)))
        self.names = [f"{step:,}" for step in steps] if steps else [_short(name) for name in series["revisions"]]
        self.label = "training step" if steps else "revision"
        self.ordered_by_step = steps is not None
        last = self.values[-1]
        self.first_after_zero = min((value for value in self.values if value > 0), default=1)
        self.norm: Normalize
        if not steps:
            self.norm = BoundaryNorm(np.arange(len(self.models) + 1) - 0.5, len(self.models))
        elif self.values[0] == 0:
            self.norm = SymLogNorm(self.first_after_zero, NEAR_ZERO, 0, last, base=10)
        else:
            self.norm = LogNorm(self.values[0], last)
        colours = ListedColormap(COLOURS(np.linspace(0, 1, len(self.models)))) if not steps else COLOURS
        self.mappable = ScalarMappable(self.norm, colours)

    @property
    def title(self) -> str:
        return f"{self.name}: {len(self.models)} revisions"

    @property
    def last(self) -> str:
        """The model whose bands are drawn: those of all would hide each other."""
        return self.models[-1]

    def lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each model with the style of its line, from the first to the last."""
        for model, value in zip(self.models, self.values, strict=True):
            yield (
                model,
                {"color": self.mappable.to_rgba(np.array(value)), "marker": "o", "markersize": 1.8, "linewidth": 0.9},
            )

    def named(self, model: str) -> str:
        """How a panel calls one of the models: ``step 1,000``."""
        name = self.names[self.models.index(model)]
        return f"step {name}" if self.ordered_by_step else name

    def some(self) -> list[str]:
        """The first, the last, and evenly between them in their order: at most :data:`MOST` models."""
        count = min(MOST, len(self.models))
        return [self.models[round(i)] for i in np.linspace(0, len(self.models) - 1, count)]

    def colour_bar(self, part: Part, panels: Sequence[Axes], label: str = "") -> None:
        height = sum({round(ax.get_position().y0, 6): ax.get_position().height for ax in panels}.values())
        bar = part.colorbar(
            self.mappable, ax=[ax for ax in panels if ax.get_visible()], label=label or self.label, **BAR
        )
        inches = max(height, 0.3) * part.bbox.height / part.figure.dpi
        shown = self._apart(min(0.16 / inches, 0.5))
        bar.set_ticks([self.values[i] for i in shown], labels=[self.names[i] for i in shown])
        bar.ax.yaxis.set_minor_locator(NullLocator())

    def x_axis(self, ax: Axes) -> None:
        """Training steps from left to right."""
        if not self.ordered_by_step:
            ax.set_xlim(-0.4, len(self.values) - 0.6)
        elif self.values[0] == 0:
            ax.set_xscale("symlog", base=10, linthresh=self.first_after_zero, linscale=NEAR_ZERO)
        else:
            ax.set_xscale("log")
        widest = max(map(len, self.names))
        shown = self._apart(0.018 * widest + 0.02 if self.ordered_by_step else 0.05)
        ax.set_xticks([self.values[i] for i in shown], [self.names[i] for i in shown])
        if not self.ordered_by_step:
            ax.tick_params("x", rotation=30)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(self.label)

    def rows(self, ax: Axes, inches: float) -> None:
        """Revisions from the bottom up, a row each, in panels of a height."""
        ax.set_ylim(-0.5, len(self.values) - 0.5)
        shown = np.unique(
            np.linspace(0, len(self.values) - 1, min(len(self.values), int(inches / 0.12))).round().astype(int)
        )
        ax.set_yticks(shown, [self.names[i] for i in shown])

    def _apart(self, distance: float) -> list[int]:
        """Which revisions have a tick: the first, the last, and others at a ``distance``, as a share of the axis."""
        places = np.linspace(0, 1, len(self.values)) if not self.ordered_by_step else np.asarray(self.norm(self.values))
        shown, end = [0], len(places) - 1
        for i in range(1, end):
            if min(places[i] - places[shown[-1]], places[end] - places[i]) >= distance:
                shown.append(i)
        return [*shown, end]


def some_layers(layers: int, most: int) -> list[int]:
    """The first, the last, and evenly between them, at most ``most``."""
    return [round(layer) for layer in np.linspace(0, layers - 1, min(most, layers))]


def without_bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Values of a revision whose intervals are not drawn; they keep their nulls."""
    return rows.assign(low=rows["value"], high=rows["value"])


def label_lowest(panels: Sequence[Axes], rows: int, label: str = "layer") -> None:
    """Where the lowest of the ``rows`` panels in a column is not shown, the one above has the labels of the x axis.

    Args:
        panels: column by column.
    """
    for column in (panels[i : i + rows] for i in range(0, len(panels), rows)):
        lowest = [ax for ax in column if ax.get_visible()][-1]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel(label)


def _short(revision: str) -> str:
    return revision if len(revision) <= LONGEST else f"{revision[: LONGEST - 5]}…{revision[-4:]}"


@dataclass(frozen=True)
class Parts:
    """The parts of a figure: of models that are in no series, and of each series, above them."""

    drawn: Figure
    rest: Part
    series: list[tuple[TrainingAxis, Part]]
    marks: Iterator[str] | None  # letters for the panels of all parts; None if there is one part


def not_in(series: Sequence[Series], models: Sequence[str]) -> list[str]:
    """Those of ``models`` that are in no series."""
    return [model for model in models if not any(model in one["models"] for one in series)]


@contextmanager
def figure_of_parts(outputs: list[str], series: Sequence[Series], rest: float, of_series: float) -> Iterator[Parts]:
    """A figure over two columns whose parts are ``rest`` inches and, each of a series, ``of_series`` inches high.

    Without series the rest is the figure itself, of that height. ``rest`` is 0 if all models are in a series.
    """
    heights = [*[of_series + TITLE] * len(series), rest]
    with figure(outputs, TWO_COLUMNS, sum(heights) + (0 if rest else 0.5)) as drawn:
        if not series:
            yield Parts(drawn, drawn, [], None)
            return
        heights = [height for height in heights if height]
        parts = drawn.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        axes = [(TrainingAxis(one), part) for one, part in zip(series, parts, strict=False)]
        for axis, part in axes:
            part.suptitle(axis.title, x=0.01, ha="left", weight="bold")
        yield Parts(drawn, parts[-1], axes, letters())
