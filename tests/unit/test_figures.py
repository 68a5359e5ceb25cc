"""Figures hold all that is drawn, and say it truly: nothing is cut off, ticks are labelled with what they are, and no
label hides another."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text
from PIL import Image

from layerscope.io.tables import read_csv, read_table
from layerscope.studies.path_length.draw import draw_cumulative, draw_lengths, draw_mean_length
from layerscope.studies.path_length.draw_r import draw_r
from layerscope.studies.token_length.draw_distribution import draw_r_by_layer
from layerscope.studies.token_length.draw_multimodality import draw_dip_power, draw_largest_dips, draw_multimodality
from layerscope.studies.token_length.draw_pairs import draw_matches, draw_profiles
from layerscope.studies.token_length.draw_properties import draw_r_properties
from layerscope.studies.token_length.draw_r import draw_r_across_models, draw_r_confounds, draw_r_spread
from layerscope.studies.token_length.draw_sample import draw_activations, draw_token_lengths
from layerscope.studies.token_similarity.draw import draw_moments, draw_spread

Draw = Callable[[Path, list[str]], None]
LENGTH = "token_length"


def tables(results: Path, kind: str) -> list[pd.DataFrame]:
    """Of the layers of model a."""
    return [read_table(path) for path in sorted((results / LENGTH / "a").glob(f"{kind}_*.parquet"))]


def of_a(results: Path) -> pd.DataFrame:
    table = read_csv(results / LENGTH / "evidence.csv")
    return table[table["model"] == "a"]


def csv(draw: Callable, *names: str) -> Draw:
    """A figure of whole CSV tables."""
    return lambda results, outputs: draw(outputs, *(read_csv(results / name) for name in names))


DRAWINGS: dict[str, Draw] = {
    "token_lengths": lambda results, outputs: draw_token_lengths(
        outputs, {"mini": read_table(results / "tokens/mini/embedded/vocabulary.parquet")}
    ),
    "activations": lambda results, outputs: draw_activations(
        outputs, "a", 1, tables(results, "histogram")[1], tables(results, "standardized_histogram")[1]
    ),
    "r_by_layer": lambda results, outputs: draw_r_by_layer(
        outputs, "a", tables(results, "layer"), read_csv(results / LENGTH / "evidence.csv")
    ),
    "r_across_models": csv(draw_r_across_models, "token_length/layers.csv", "token_length/evidence.csv"),
    "r_spread": csv(draw_r_spread, "token_length/layers.csv", "token_length/evidence.csv"),
    "r_confounds": lambda results, outputs: draw_r_confounds(outputs, "a", of_a(results)),
    "r_properties": lambda results, outputs: draw_r_properties(
        outputs, "a", of_a(results), read_csv(results / LENGTH / "properties.csv")
    ),
    "multimodality": csv(draw_multimodality, "token_length/multimodality.csv"),
    "dip_power": lambda results, outputs: draw_dip_power(
        outputs, {"mini": read_csv(results / LENGTH / "dip_power_mini.csv")}
    ),
    "modes": lambda results, outputs: draw_largest_dips(
        outputs, "a", tables(results, "dip"), tables(results, "standardized_histogram")
    ),
    "matches": csv(draw_matches, "token_length/matches.csv"),
    "profiles": csv(draw_profiles, "token_length/profiles.csv"),
    "path_r": lambda results, outputs: draw_r(
        outputs,
        "a",
        read_csv(results / "path_length/layers.csv"),
        read_table(results / "path_length/a/resamples.parquet"),
    ),
    "path_means": lambda results, outputs: draw_mean_length(
        outputs, read_csv(results / "path_length/layers.csv"), "all"
    ),
    "path_cumulative": lambda results, outputs: draw_cumulative(
        outputs, read_csv(results / "path_length/layers.csv"), "all"
    ),
    "path_lengths": lambda results, outputs: draw_lengths(outputs, "a", str(results / "path_length/a/shard_0000.h5")),
    "cosine_spread": lambda results, outputs: draw_spread(
        outputs, "a", read_csv(results / "token_similarity/layers.csv")
    ),
    "qkv_moments": lambda results, outputs: draw_moments(
        outputs, "a", read_csv(results / "token_similarity/layers.csv")
    ),
}


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


@pytest.fixture(scope="module")
def figures(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """Figures of the finished study, drawn here."""
    folder = tmp_path_factory.mktemp("figures")
    with kept() as drawn:
        for name, draw in DRAWINGS.items():
            draw(finished / "results", [str(folder / f"{name}.png")])
    return dict(zip(DRAWINGS, drawn, strict=True))


def wrong_ticks(shown: Figure) -> list[str]:
    """Labels of ticks that are not their value, to three digits."""
    wrong = []
    for axis in shown.findobj(Axis):
        for tick in axis.get_major_ticks():
            place, text = tick.get_loc(), tick.label1.get_text().replace("\N{MINUS SIGN}", "-")
            if re.fullmatch(r"-?[\d.]+(e-?\d+)?%?", text):
                said = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
                offset = float(axis.get_offset_text().get_text() or 1)
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


@pytest.mark.parametrize("name", DRAWINGS)
def test_ticks_are_labelled_with_their_values(figures, name):
    assert wrong_ticks(figures[name]) == []


@pytest.mark.parametrize("name", DRAWINGS)
def test_swatches_of_a_legend_can_be_told_apart(figures, name):
    assert alike_swatches(figures[name]) == []


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_lies_over_another(figures, name):
    assert overlapping_texts(figures[name]) == []


def test_a_label_over_another_is_found():
    shown = Figure()
    shown.text(0.5, 0.5, "one")
    shown.text(0.52, 0.5, "other")
    FigureCanvasAgg(shown).draw()
    assert overlapping_texts(shown) == ["one | other"]


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (
            np.linspace(0.15, 1, 40),
            "none of 40 neurons (of unimodal ones at most 2 are expected); at a false",
        ),
        (
            np.r_[0.04, np.linspace(0.15, 1, 39)],
            "1 of 40 neurons (of unimodal ones at most 2 are expected); at a",
        ),
        (np.r_[1e-9, np.linspace(0.15, 1, 39)], "false discovery rate of 5%: 1"),
        (np.full(40, np.nan), "whether they are multimodal is unknown: the dip test has no p"),
    ],
    ids=["none", "one without multimodality", "one", "unknown"],
)
def test_the_gallery_of_largest_dips_says_whether_they_pass(finished, tmp_path, p, said):
    dips = [table.head(40).assign(p_types=p) for table in tables(finished / "results", "dip")[:1]]
    histograms = tables(finished / "results", "standardized_histogram")[:1]
    with kept() as drawn:
        draw_largest_dips([str(tmp_path / "modes.png")], "a", dips, histograms)
    title = drawn[0].get_suptitle()
    assert said in title
    assert title.endswith(": none") == ("none" in said or "1 of 40" in said)
    assert overlapping_texts(drawn[0]) == []


def test_where_shares_are_unknown_the_dips_are_drawn(finished, tmp_path):
    multimodality = read_csv(finished / "results" / LENGTH / "multimodality.csv")
    over_tokens = multimodality["population"].isin(["tokens", "short_tokens"])
    multimodality.loc[over_tokens, [name for name in multimodality if name.startswith("share")]] = np.nan
    with kept() as drawn:
        draw_multimodality([str(tmp_path / "multimodality.png")], multimodality)
    axes = drawn[0].axes
    assert [ax.get_ylabel() for ax in axes] == [
        "dip (no p: more than 72,000 values)",
        "",
        "neurons with dip p ≤ 5%",
        "",
    ]
    dips = multimodality[over_tokens].groupby("population", sort=False)
    for ax, (_, rows) in zip(axes, dips, strict=False):
        drawn_values = np.concatenate([line.get_ydata() for line in ax.lines])
        assert set(rows["dip_median"]) | set(rows["dip_q95"]) <= set(drawn_values)
        assert ax.get_ylim()[1] >= rows[["dip_q95", "dip_q95_unimodal"]].max(axis=None)
    assert overlapping_texts(drawn[0]) == []


@pytest.mark.parametrize("name", ["path_means", "path_lengths"])  # the second has pictures in its PDF
def test_the_same_data_give_the_same_bytes(finished, tmp_path, name):
    """So a report that is written again is the same, too."""
    written = []
    for _ in range(2):
        outputs = [tmp_path / "figure.png", tmp_path / "figure.pdf"]
        DRAWINGS[name](finished / "results", [str(path) for path in outputs])
        written.append([path.read_bytes() for path in outputs])
    assert written[0] == written[1]


def test_a_figure_is_laid_out_once_for_all_its_files(finished, tmp_path, monkeypatch):
    laid_out, execute = [], ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        ConstrainedLayoutEngine, "execute", lambda engine, shown: (laid_out.append(shown), execute(engine, shown))
    )
    DRAWINGS["path_means"](finished / "results", [str(tmp_path / f"figure.{kind}") for kind in ("png", "pdf")])
    assert len(laid_out) == 1


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
    """Names are in legends and titles."""

    def draw(function, table: str, *options: str) -> None:
        names = read_csv(finished / "results" / table).replace({"a": "a" * 64, "b": "b" * 64})
        function([str(tmp_path / "figure.png")], names, *options)
        check_edges(tmp_path / "figure.png")

    draw(draw_multimodality, "token_length/multimodality.csv")
    draw(draw_profiles, "token_length/profiles.csv")
    draw(draw_mean_length, "path_length/layers.csv", "all")
