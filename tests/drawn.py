"""Figures as they are drawn: what is there to read in them, and what of it is wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text


@contextmanager
def kept() -> Iterator[list[Figure]]:
    """The figures that are drawn within the block."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(shown: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(shown)
        save(shown, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", keep)
        yield figures
    for shown in figures:
        FigureCanvasAgg(shown).draw()  # to look at, when the block is over


def wrong_ticks(shown: Figure) -> list[str]:
    """Labels of ticks that are not their value, to three digits."""
    wrong = []
    for axis in shown.findobj(Axis):
        for tick in axis.get_major_ticks():
            place, text = tick.get_loc(), tick.label1.get_text().replace("\N{MINUS SIGN}", "-")
            if re.fullmatch(r"-?[\d.]+(e-?\d+)?%?", text):
                said = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
                offset = float(axis.get_offset_text().get_text().replace("\N{MINUS SIGN}", "-") or 1)
                if not np.isclose(said * offset, place, rtol=5e-3, atol=1e-9):
                    wrong.append(f"{text} at {place}")
    return wrong


def alike_swatches(shown: Figure) -> list[str]:
    """Pairs of entries of a legend whose swatches cannot be told apart: less than a quarter of the ink differs."""
    pixels = np.asarray(shown.canvas.buffer_rgba())[:, :, :3].astype(int)
    alike = []
    for legend in shown.findobj(Legend):
        size = legend.get_texts()[0].get_fontsize() * shown.dpi / 72
        width, height = int(legend.handlelength * size), int(size)
        crops = {}
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            # A marker's extent is that of its line; the swatch ends a little before the text.
            right = int(text.get_window_extent().x0 - legend.handletextpad * size)
            middle = int(len(pixels) - (handle.get_window_extent().y0 + handle.get_window_extent().y1) / 2)
            crops[text.get_text()] = pixels[middle - height // 2 :, right - width : right][:height]
        for (one, first), (other, second) in combinations(crops.items(), 2):
            ink = (first.min(axis=2) < 250) | (second.min(axis=2) < 250)
            assert ink.any()
            differs = np.abs(first - second).max(axis=2) > 60
            if differs.sum() < ink.sum() / 4:
                alike.append(f"{one} | {other}")
    return alike


def texts(shown: Figure) -> Iterator[Text]:
    """What is there to read: ticks beyond the ends of their axis are not drawn."""
    beyond = set()
    for axis in shown.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        beyond |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    for text in shown.findobj(Text):
        seen = text.get_visible() and (text.axes is None or text.axes.get_visible())
        if seen and text.get_text().strip() and text not in beyond:
            yield text


def overlapping_texts(shown: Figure) -> list[str]:
    """Pairs of texts that lie over each other by more than a pixel both ways."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(shown)]
    return [
        f"{one} | {other}"
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


def letters_of(shown: Figure) -> list[str]:
    """The bold letters of panels, in the order in which panels are read."""
    found = []
    for text in texts(shown):
        if mark := re.match(r"\$\\mathbf\{(\w+)\}\$", text.get_text()):
            place = text.get_window_extent()
            found.append((-round(place.y0 / 20), place.x0, mark[1]))
    return [letter for *_, letter in sorted(found)]
