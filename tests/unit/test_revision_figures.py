"""Figures with revisions of one model: laid out along training steps, in order, and readable however many there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawn import alike_swatches, kept, letters_of, overlapping_texts, texts, wrong_ticks
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from layerscope.io.tables import read_csv, read_table
from layerscope.studies.path_length.draw import draw_cumulative, draw_lengths, draw_mean_length
from layerscope.studies.path_length.draw_r import draw_r
from layerscope.studies.series import Series
from layerscope.studies.token_length.draw_distribution import draw_r_by_layer
from layerscope.studies.token_length.draw_multimodality import draw_multimodality
from layerscope.studies.token_length.draw_pairs import draw_matches
from layerscope.studies.token_length.draw_properties import draw_r_properties
from layerscope.studies.token_length.draw_r import draw_r_across_models, draw_r_confounds, draw_r_spread
from layerscope.studies.token_length.draw_sample import draw_activations
from layerscope.studies.token_similarity.draw import draw_cosines, draw_cosines_centred, draw_spread
from layerscope.studies.token_similarity.draw_matrix import draw_matrix
from layerscope.studies.token_similarity.draw_similarity import draw_similarity
from layerscope.training_axis import TrainingAxis

STEPS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 8000, 16_000, 33_000, 66_000, 100_000, 143_000]
LENGTH, SIMILARITY, PATH = "token_length", "token_similarity", "path_length"


def series_with(steps: list[int]) -> Series:
    names = [f"m{step}" for step in steps]
    return {"name": "pythia-160m", "models": names, "revisions": [f"step{step}" for step in steps], "steps": steps}


SERIES = {
    "two": series_with([1000, 4000]),
    "five": series_with([0, 1, 512, 4000, 143_000]),
    "twenty": series_with(STEPS),
    "without steps": {**series_with([1, 2, 3]), "revisions": ["v1", "newest", "7d4b2f0" * 5], "steps": None},
}


class Results:
    """What the figures read: revisions that are model a of a finished study, and beside them this model and another."""

    def __init__(self, folder: Path, series: Series, beside: bool) -> None:
        self.folder, self.series, self.beside = folder, series, beside

    def csv(self, name: str) -> pd.DataFrame:
        table = read_csv(self.folder / name)
        of = table[table["model"] == "a"]
        tables = []
        for i, model in enumerate(self.series["models"]):
            numbers = of.select_dtypes("float").columns.difference(["relative_depth"])
            # Each revision has numbers of its own, so that a line tells which it is.
            tables.append(of.assign(model=model, **{name: of[name] * (1 + i / 40) for name in numbers}))
        return pd.concat([*tables, *([table] if self.beside else [])], ignore_index=True)

    def each(self, value: Any) -> dict[str, Any]:
        return dict.fromkeys([*self.series["models"], *(["a"] if self.beside else [])], value)

    def tables(self, kind: str, study: str = LENGTH) -> list[pd.DataFrame]:
        return [read_table(path) for path in sorted((self.folder / study / "a").glob(f"{kind}_*.parquet"))]

    def matches(self) -> pd.DataFrame:
        table = read_csv(self.folder / LENGTH / "matches.csv")
        *earlier, last = self.series["models"]
        found = [table.assign(model=model, other=last) for model in earlier]
        return pd.concat([*found, *([table] if self.beside else [])], ignore_index=True)


DRAWINGS: dict[str, tuple[Callable, Callable[[Results], tuple]]] = {
    "r_across_models": (
        draw_r_across_models,
        lambda of: (of.csv("token_length/layers.csv"), of.csv("token_length/evidence.csv")),
    ),
    "r_by_layer": (
        draw_r_by_layer,
        lambda of: (of.each(of.tables("layer")), of.csv("token_length/evidence.csv")),
    ),
    "r_confounds": (draw_r_confounds, lambda of: (of.csv("token_length/evidence.csv"),)),
    "r_spread": (draw_r_spread, lambda of: (of.csv("token_length/evidence.csv"),)),
    "r_properties": (
        draw_r_properties,
        lambda of: (of.csv("token_length/evidence.csv"), of.csv("token_length/properties.csv")),
    ),
    "activations": (
        lambda outputs, *given: draw_activations(outputs, 1, *given),
        lambda of: (of.each(of.tables("histogram")[1]), of.each(of.tables("standardized_histogram")[1])),
    ),
    "multimodality": (draw_multimodality, lambda of: (of.csv("token_length/multimodality.csv"),)),
    "matches": (draw_matches, lambda of: (of.matches(),)),
    "similarity": (
        draw_similarity,
        lambda of: (of.each(read_table(of.folder / SIMILARITY / "a/jackknife.parquet")),),
    ),
    "cosines": (
        lambda outputs, bins, series: draw_cosines(outputs, bins, series=series),
        lambda of: (of.each(of.tables("histogram", SIMILARITY)),),
    ),
    "cosines_centred": (draw_cosines_centred, lambda of: (of.each(of.tables("histogram", SIMILARITY)),)),
    "cosine_spread": (draw_spread, lambda of: (of.csv("token_similarity/layers.csv"),)),
    "matrix": (
        lambda outputs, *given: draw_matrix(outputs, 1, *given),
        lambda of: (of.each(str(of.folder / SIMILARITY / "a/vectors.h5")),),
    ),
    "path_r": (
        draw_r,
        lambda of: (of.csv("path_length/layers.csv"), of.each(read_table(of.folder / PATH / "a/resamples.parquet"))),
    ),
    "path_means": (draw_mean_length, lambda of: (of.csv("path_length/layers.csv"), "all")),
    "path_cumulative": (draw_cumulative, lambda of: (of.csv("path_length/layers.csv"), "all")),
    "path_lengths": (draw_lengths, lambda of: (of.each(str(of.folder / PATH / "a/shard_0000.h5")),)),
}
HEATMAPS = {"cosines", "cosines_centred", "matrix", "path_lengths"}  # have no lines
ROWS = {"r_by_layer", "cosines", "cosines_centred", "path_lengths"}  # have revisions as rows, which have no scale
COUNTS = ["five", "without steps", *(pytest.param(count, marks=pytest.mark.slow) for count in ("two", "twenty"))]
BESIDE = {"two": True, "five": False, "twenty": True, "without steps": False}


@pytest.fixture(scope="module")
def drawn(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Figure]:
    """Draws a figure, once: its name, and which series, with or without other models beside it."""
    folder, figures = tmp_path_factory.mktemp("figures"), {}

    def draw(name: str, count: str) -> Figure:
        key = (name, count)
        if key not in figures:
            function, given = DRAWINGS[name]
            with kept() as shown:
                function(
                    [str(folder / "figure.png")],
                    *given(Results(finished / "results", SERIES[count], BESIDE[count])),
                    [SERIES[count]],
                )
            [figures[key]] = shown
        return figures[key]

    return draw


def bars(shown: Figure) -> list[Axes]:
    return [ax for ax in shown.findobj(Axes) if ax.get_label() == "<colorbar>"]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", DRAWINGS)
def test_it_can_be_read(drawn: Callable, name: str, count: str) -> None:
    shown = drawn(name, count)
    assert overlapping_texts(shown) == []
    assert name in ROWS or wrong_ticks(shown) == []
    assert alike_swatches(shown) == []
    found = letters_of(shown)
    assert len(found) == len(set(found)) > 1


@pytest.mark.parametrize(("count", "label"), [("five", "training step"), ("without steps", "revision")])
@pytest.mark.parametrize("name", DRAWINGS)
def test_the_axis_says_what_it_is(drawn: Callable, name: str, count: str, label: str) -> None:
    read = [text.get_text() for text in texts(drawn(name, count))]
    assert any(label in text for text in read)
    assert any("training step" in text for text in read) == (label == "training step")
    ends = ("0", "143,000") if count == "five" else ("v1", "7d4b2f0…b2f0")
    for end in ends:
        assert any(text.removeprefix("step ").endswith(end) for text in read)


def lightness(colour: object) -> float:
    return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))  # relative luminance


def colours(ax: Axes) -> list[object]:
    """Colours of lines in the order in which they were drawn, without those of axes and nulls."""
    drawn = [line.get_color() for line in ax.lines] + [patch.get_edgecolor() for patch in ax.patches]
    plasma = {tuple(colour) for colour in matplotlib.colormaps["plasma"](np.linspace(0, 0.9, 256))}
    return [colour for colour in dict.fromkeys(drawn) if not isinstance(colour, str) and tuple(colour) in plasma]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", sorted(set(DRAWINGS) - HEATMAPS))
def test_lines_go_from_dark_to_light_in_the_order_of_training(drawn: Callable, name: str, count: str) -> None:
    shown = drawn(name, count)
    label = "revision" if count == "without steps" else "training step"
    assert [ax.get_ylabel().split(", ")[-1] for ax in bars(shown)].count(label) == 1
    panels = [found for ax in shown.findobj(Axes) if (found := colours(ax))]
    of_revisions = len(SERIES[count]["models"]) - (name == "matches")  # the last is what others are matched with
    assert panels
    for found in panels:
        assert len(found) == of_revisions
        assert np.all(np.diff([lightness(colour) for colour in found]) > 0)


@pytest.mark.parametrize("steps", [[1000, 4000], [1000, 4000, 143_000], [0, 1, 512, 143_000], [0, 500, 1000]])
def test_positions_are_logarithms_of_steps(steps: list[int]) -> None:
    """With 0 half a decade below the next step."""
    axis = TrainingAxis(series_with(steps))
    zero = steps[0] == 0
    decades = np.array([np.log10(step / steps[zero]) + 0.5 * zero if step else 0 for step in steps])
    places = decades / decades[-1]
    expected = matplotlib.colormaps["plasma"](0.9 * places)
    found = [style["color"] for _, style in axis.lines()]
    assert [model for model, _ in axis.lines()] == [f"m{step}" for step in steps]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_values_are_those_of_their_revision(drawn: Callable, finished: Path) -> None:
    series = SERIES["five"]
    shown = drawn("r_across_models", "five")
    panels = [ax for ax in shown.findobj(Axes) if ax not in bars(shown)]
    layers = Results(finished / "results", series, beside=False).csv("token_length/layers.csv")
    by_depth, by_step = panels[0], next(ax for ax in panels if ax.get_xlabel() == "training step")
    lines = [line for line in by_depth.lines if len(line.get_ydata()) > 1 and not isinstance(line.get_color(), str)]
    for line, model in zip(lines, series["models"], strict=True):
        np.testing.assert_allclose(line.get_ydata(), layers.loc[layers["model"] == model, "r_median"])
    lines = [line for line in by_step.lines if len(line.get_xdata()) == len(series["models"])]
    for line, (_, of_layer) in zip(lines, layers.groupby("layer"), strict=True):
        assert list(line.get_xdata()) == series["steps"]
        np.testing.assert_allclose(line.get_ydata(), of_layer["r_median"])
    assert by_step.get_xscale() == "symlog"
    assert [tick.get_text() for tick in by_step.get_xticklabels()] == [
        "0",
        "512",
        "4,000",
        "143,000",
    ]  # 1 is too near 0


@pytest.mark.parametrize("name", ["cosines", "path_lengths", "r_by_layer"])
def test_rows_of_heatmaps_are_revisions_from_the_bottom_up(drawn: Callable, name: str) -> None:
    shown = drawn(name, "five")
    [label] = {ax.get_ylabel().split("\n")[-1] for ax in shown.findobj(Axes) if "training" in ax.get_ylabel()} - {""}
    assert label == "training step"
    for ax in shown.findobj(Axes):
        if ax.get_ylabel().endswith("training step") and ax not in bars(shown):
            assert [tick.get_text() for tick in ax.get_yticklabels()] == ["0", "1", "512", "4,000", "143,000"]
            assert list(ax.get_yticks()) == [0, 1, 2, 3, 4]


def test_of_many_matrices_some_are_shown_in_their_order(drawn: Callable) -> None:
    panels = [ax for ax in drawn("matrix", "twenty").subfigs[0].axes if ax.images]
    titles = [ax.get_title(loc="left").split("  ")[1] for ax in panels]
    assert titles == 2 * ["step 0", "step 16", "step 512", "step 8,000", "step 143,000"]


def test_the_path_of_a_token_is_summed_over_layers(drawn: Callable, finished: Path) -> None:
    shown = drawn("path_lengths", "two")
    panel = next(ax for ax in shown.findobj(Axes) if ax.get_xlabel() == "position in the sequence")
    with h5py.File(finished / "results/path_length/a/shard_0000.h5") as file:
        paths = np.nan_to_num(file["path_attn"][:, :32]).sum(axis=0)
    values = np.asarray(panel.collections[0].get_array()).reshape(2, -1)
    np.testing.assert_allclose(values, np.broadcast_to(paths[1:], values.shape), rtol=1e-5)


@pytest.mark.parametrize("name", sorted(set(DRAWINGS) - {"cosine_spread", "path_cumulative", "matches"}))
def test_other_models_are_drawn_as_without_revisions(
    drawn: Callable, finished: Path, tmp_path: Path, name: str
) -> None:
    """Their panels hold the same lines and pictures."""
    function, given = DRAWINGS[name]
    nothing: Series = {"name": "", "models": [], "revisions": [], "steps": None}
    with kept() as alone:
        function([str(tmp_path / "alone.png")], *given(Results(finished / "results", nothing, beside=True)), ())
    expected = [contents(ax) for ax in alone[0].axes if ax not in bars(alone[0])]
    beside = drawn(name, "two")
    rest = beside.subfigs[-1]
    found = [contents(ax) for ax in rest.axes if ax not in bars(beside)]
    if name == "r_across_models":  # has the last revision in grey, too
        expected, found = ([panel[:1] for panel in panels] for panels in (expected, found))
    assert found == expected


def contents(ax: Axes) -> list[tuple]:
    """Lines, of a colour that has a name, and pictures of a panel."""
    lines = [(line.get_color(), *np.round(line.get_ydata(), 9)) for line in ax.lines]
    return [tuple(map(str, line)) for line in lines] + [image.get_array().shape for image in ax.images]
