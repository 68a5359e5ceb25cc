"""Figures hold all that is drawn: nothing is cut off at an edge."""

from pathlib import Path

import numpy as np
from PIL import Image

from layerscope.path_length.draw import draw_mean_length
from layerscope.tables import read_csv
from layerscope.token_length.draw_modality import draw_multimodality
from layerscope.token_length.draw_pairs import draw_profiles


def check_edges(path: Path) -> None:
    pixels = np.asarray(Image.open(path).convert("L"))
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert edges.min() > 250, path


def test_no_figure_is_cut_off_at_an_edge(finished):
    figures = sorted((finished / "results").glob("*/figures/*.png"))
    assert len(figures) > 20
    for path in figures:
        check_edges(path)


def test_long_names_of_models_are_not_cut_off_either(finished, tmp_path):
    """They stand in legends and titles."""

    def draw(function, table: str, *options: str) -> None:
        names = read_csv(finished / "results" / table).replace({"a": "a" * 64, "b": "b" * 64})
        function([str(tmp_path / "figure.png")], names, *options)
        check_edges(tmp_path / "figure.png")

    draw(draw_multimodality, "token_length/modality.csv")
    draw(draw_profiles, "token_length/profiles.csv")
    draw(draw_mean_length, "path_length/layers.csv", "all")
