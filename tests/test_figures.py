"""Figures hold all that is drawn: nothing is cut off at an edge."""

import numpy as np
from PIL import Image


def test_no_figure_is_cut_off_at_an_edge(finished):
    figures = sorted((finished / "results").glob("*/figures/*.png"))
    assert len(figures) > 20
    for path in figures:
        pixels = np.asarray(Image.open(path).convert("L"))
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edges.min() > 250, path
