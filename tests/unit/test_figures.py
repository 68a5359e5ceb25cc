"""Figures hold all that is drawn, and say it truly: nothing is cut off, ticks are labelled with what they are, and no
label hides another."""

from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from drawn import alike_swatches, kept, letters_of, overlapping_texts, wrong_ticks
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from layerscope.io.tables import read_csv, read_table
from layerscope.plotting import ONE_COLUMN, TWO_COLUMNS, line_beyond_null, panels_of_models
from layerscope.studies.path_length.draw import draw_cumulative, draw_lengths, draw_mean_length
from layerscope.studies.path_length.draw_r import draw_r
from layerscope.studies.token_length.draw_distribution import draw_r_by_layer
from layerscope.studies.token_length.draw_multimodality import draw_dip_power, draw_multimodality
from layerscope.studies.token_length.draw_pairs import draw_matches
from layerscope.studies.token_length.draw_properties import draw_r_properties
from layerscope.studies.token_length.draw_r import draw_r_across_models, draw_r_confounds, draw_r_spread
from layerscope.studies.token_length.draw_sample import draw_activations, draw_token_lengths
from layerscope.studies.token_similarity.draw import draw_cosines, draw_cosines_centred, draw_spread
from layerscope.studies.token_similarity.draw_matrix import clustered, draw_matrix
from layerscope.studies.token_similarity.draw_similarity import draw_similarity, interval_of_layers

Draw = Callable[[Path, list[str]], None]
LENGTH, SIMILARITY = "token_length", "token_similarity"
KINDS = ("png", "pdf", "svg")


def tables(results: Path, kind: str) -> dict[str, list[pd.DataFrame]]:
    """Model → tables of its layers."""
    return {
        model: [read_table(path) for path in sorted((results / LENGTH / model).glob(f"{kind}_*.parquet"))]
        for model in ("a", "b")
    }


def of_layer(results: Path, kind: str, layer: int) -> dict[str, pd.DataFrame]:
    return {model: layers[layer] for model, layers in tables(results, kind).items()}


def histograms(results: Path) -> dict[str, list[pd.DataFrame]]:
    return {"a": [read_table(path) for path in sorted((results / SIMILARITY / "a").glob("histogram_*.parquet"))]}


def csv(draw: Callable, *names: str) -> Draw:
    """A figure of whole CSV tables."""
    return lambda results, outputs: draw(outputs, *(read_csv(results / name) for name in names))


DRAWINGS: dict[str, Draw] = {
    "token_lengths": lambda results, outputs: draw_token_lengths(
        outputs, {"mini": read_table(results / "tokens/mini/embedded/vocabulary.parquet")}
    ),
    "activations": lambda results, outputs: draw_activations(
        outputs, 1, of_layer(results, "histogram", 1), of_layer(results, "standardized_histogram", 1)
    ),
    "r_by_layer": lambda results, outputs: draw_r_by_layer(
        outputs, tables(results, "layer"), read_csv(results / LENGTH / "evidence.csv")
    ),
    "r_across_models": csv(draw_r_across_models, "token_length/layers.csv", "token_length/evidence.csv"),
    "r_spread": csv(draw_r_spread, "token_length/evidence.csv"),
    "r_confounds": csv(draw_r_confounds, "token_length/evidence.csv"),
    "r_properties": csv(draw_r_properties, "token_length/evidence.csv", "token_length/properties.csv"),
    "multimodality": csv(draw_multimodality, "token_length/multimodality.csv"),
    "dip_power": lambda results, outputs: draw_dip_power(
        outputs, {"mini": read_csv(results / LENGTH / "dip_power_mini.csv")}
    ),
    "matches": csv(draw_matches, "token_length/matches.csv"),
    "path_r": lambda results, outputs: draw_r(
        outputs,
        read_csv(results / "path_length/layers.csv"),
        {"a": read_table(results / "path_length/a/resamples.parquet")},
    ),
    "path_means": lambda results, outputs: draw_mean_length(
        outputs, read_csv(results / "path_length/layers.csv"), "all"
    ),
    "path_cumulative": lambda results, outputs: draw_cumulative(
        outputs, read_csv(results / "path_length/layers.csv"), "all"
    ),
    "path_lengths": lambda results, outputs: draw_lengths(outputs, {"a": str(results / "path_length/a/shard_0000.h5")}),
    "similarity": lambda results, outputs: draw_similarity(
        outputs, {"a": read_table(results / SIMILARITY / "a/jackknife.parquet")}
    ),
    "cosines": lambda results, outputs: draw_cosines(outputs, histograms(results)),
    "cosines_centred": lambda results, outputs: draw_cosines_centred(outputs, histograms(results)),
    "cosine_spread": csv(draw_spread, "token_similarity/layers.csv"),
    "matrix": lambda results, outputs: draw_matrix(outputs, 1, {"a": str(results / SIMILARITY / "a/vectors.h5")}),
}


@pytest.fixture(scope="module")
def figures(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """Figures of the finished study, drawn here."""
    folder = tmp_path_factory.mktemp("figures")
    with kept() as drawn:
        for name, draw in DRAWINGS.items():
            draw(finished / "results", [str(folder / f"{name}.png")])
    return dict(zip(DRAWINGS, drawn, strict=True))


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


def test_where_shares_are_unknown_the_dips_are_drawn(finished, tmp_path):
    multimodality = read_csv(finished / "results" / LENGTH / "multimodality.csv")
    over_tokens = multimodality["population"].isin(["tokens", "short_tokens"])
    multimodality.loc[over_tokens, [name for name in multimodality if name.startswith("share")]] = np.nan
    with kept() as drawn:
        draw_multimodality([str(tmp_path / "multimodality.png")], multimodality)
    axes = {(i // 2, i % 2): ax for i, ax in enumerate(drawn[0].axes)}  # row, model
    assert axes[0, 0].get_ylabel() == "neurons with dip p ≤ 5%"
    assert axes[1, 0].get_ylabel() == "dip (no p: more than\n72,000 values)"
    for i, model in enumerate(("a", "b")):
        rows = multimodality[over_tokens & (multimodality["model"] == model)]
        drawn_values = np.concatenate([line.get_ydata() for line in axes[1, i].lines])
        assert set(rows["dip_median"]) | set(rows["dip_q95"]) <= set(drawn_values)
        assert axes[1, i].get_ylim()[1] >= rows[["dip_q95", "dip_q95_unimodal"]].max(axis=None)
    assert overlapping_texts(drawn[0]) == []


@pytest.mark.parametrize("name", DRAWINGS)
def test_panels_have_letters_in_order(figures, name):
    found = letters_of(figures[name])
    assert found == list(ascii_lowercase[: len(found)])
    assert len(found) > 1 or (found == [] and name in ("token_lengths", "path_means"))  # of one panel


@pytest.mark.parametrize("name", DRAWINGS)
def test_figures_have_the_size_of_a_page(figures, name):
    width, height = figures[name].get_size_inches()
    assert width == (ONE_COLUMN if name == "token_lengths" else TWO_COLUMNS)
    assert height < 9


@pytest.mark.parametrize("models", [1, 4, 5, 9])
def test_models_go_into_bands_of_rows(models):
    shown = Figure(layout="constrained", figsize=(TWO_COLUMNS, 9))
    names = [f"model {i}" for i in range(models)]
    for i, (name, panels) in enumerate(panels_of_models(shown, names, ("one", "other"))):
        assert (name, len(panels)) == (names[i], 2)
        for ax in panels:
            ax.plot([0, 1], [0, i])
    FigureCanvasAgg(shown).draw()
    seen = [ax for ax in shown.axes if ax.get_visible()]
    assert len(seen) == 2 * models
    assert letters_of(shown) == list(ascii_lowercase[: 2 * models])
    assert {ax.get_ylim() for ax in seen} == {seen[0].get_ylim()}
    assert [ax.get_ylabel() for ax in seen].count("one") == -(-models // 4)


def test_markers_say_whether_a_value_is_beyond_its_null():
    rows = pd.DataFrame({"value": [0.1, 0.5, -0.5], "null_low": -0.2, "null_high": 0.2}).assign(low=0.0, high=0.1)
    ax = Figure().subplots()
    line_beyond_null(ax, pd.Series([0, 1, 2]), rows, "#0072B2", "o")
    every, beyond = ax.lines
    assert every.get_markerfacecolor() == "white" and list(every.get_ydata()) == [0.1, 0.5, -0.5]
    assert beyond.get_markerfacecolor() == "#0072B2" and list(beyond.get_ydata()) == [0.5, -0.5]


def test_intervals_of_r_end_where_r_does() -> None:
    rows = pd.DataFrame(
        {"value": [0.1, 0.5], "null_low": -0.2, "null_high": 0.2, "low": [-7.5, 0.4], "high": [7.5, 0.6]}
    )
    ax = Figure().subplots()
    line_beyond_null(ax, pd.Series([0, 1]), rows, "#0072B2", "o")
    (band,) = ax.collections
    assert sorted({float(y) for _, y in band.get_paths()[0].vertices}) == [-1, 0.4, 0.6, 1]


def test_dimensions_of_a_matrix_are_ordered_by_clusters():
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((50, 3))
    columns = np.concatenate([kinds + 0.1 * rng.standard_normal((50, 3)) for _ in range(5)], axis=1)
    columns = np.insert(columns / np.linalg.norm(columns, axis=0), 4, np.nan, axis=1)
    kind = np.insert(np.tile([0, 1, 2], 5), 4, 3)
    order = [int(np.flatnonzero((columns == column[:, None]).all(axis=0))[0]) for column in clustered(columns).T[:-1]]
    assert np.count_nonzero(np.diff(kind[order])) == 2  # each kind is in one piece
    assert np.isnan(clustered(columns)[:, -1]).all()


def test_intervals_of_the_jackknife_are_those_of_its_formula(finished, tmp_path):
    """Against Student's t and the standard error of the jackknife, here by hand."""
    table = read_table(finished / "results" / SIMILARITY / "a/jackknife.parquet")
    found = interval_of_layers(table, "similarity", np.asarray)
    for layer, of in table.groupby("layer"):
        value, resamples = of["similarity"].iloc[0], of["similarity"].iloc[1:].to_numpy()
        n = len(resamples)
        error = np.sqrt((n - 1) / n * ((resamples - resamples.mean()) ** 2).sum())
        width = scipy.stats.t.ppf(0.975, n - 1) * error
        np.testing.assert_allclose(found.loc[layer], [value, value - width, value + width], rtol=1e-9)


@pytest.mark.parametrize("name", ["path_means", "path_lengths"])  # the second has pictures in its PDF
def test_the_same_data_give_the_same_bytes(finished, tmp_path, name):
    """So a report that is written again is the same, too."""
    written = []
    for _ in range(2):
        outputs = [tmp_path / f"figure.{kind}" for kind in KINDS]
        DRAWINGS[name](finished / "results", [str(path) for path in outputs])
        written.append([path.read_bytes() for path in outputs])
    assert written[0] == written[1]


def test_a_figure_is_laid_out_once_for_all_its_files(finished, tmp_path, monkeypatch):
    laid_out, execute = [], ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        ConstrainedLayoutEngine, "execute", lambda engine, shown: (laid_out.append(shown), execute(engine, shown))
    )
    DRAWINGS["path_means"](finished / "results", [str(tmp_path / f"figure.{kind}") for kind in KINDS])
    assert len(laid_out) == 1


def check_edges(path: Path) -> None:
    pixels = np.asarray(Image.open(path).convert("L"))
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert edges.min() > 250, path


def test_no_figure_is_cut_off_at_an_edge(finished):
    figures = sorted((finished / "results").glob("*/figures/*.png"))
    assert len(figures) == len(DRAWINGS)
    for path in figures:
        check_edges(path)


def test_long_names_of_models_are_not_cut_off_either(finished, tmp_path):
    """Names are in legends and titles."""

    def draw(function, table: str, *options: str) -> None:
        names = read_csv(finished / "results" / table).replace({"a": "a" * 64, "b": "b" * 64})
        function([str(tmp_path / "figure.png")], names, *options)
        check_edges(tmp_path / "figure.png")

    draw(draw_multimodality, "token_length/multimodality.csv")
    draw(draw_r_spread, "token_length/evidence.csv")
    draw(draw_mean_length, "path_length/layers.csv", "all")
