"""Two models side by side: matched neurons against numpy's correlations, and profiles on relative depth."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.errors import UserError
from layerscope.io.tables import write_table
from layerscope.studies.token_length import best_matches as best
from layerscope.studies.token_length import layer_units
from layerscope.studies.token_length import match_layer as matching
from layerscope.studies.token_length.best_matches import best_matches, measured, pairs_of_products
from layerscope.studies.token_length.document_runs import RUNS, Runs, Sums
from layerscope.studies.token_length.match_columns import MEASURES, ROTATIONS, without
from layerscope.studies.token_length.match_layer import match_layer
from layerscope.studies.token_length.profiles import profiles_table
from layerscope.studies.token_length.rotation import Rotation
from layerscope.studies.token_length.summarize_matches import excess, matches_table
from layerscope.tokenize.token_shards import Tokens

TOKENS = 700
RNG = np.random.default_rng(0)
IDS = np.r_[0, RNG.integers(1, 20, TOKENS - 1)].astype(np.int32)  # 0 is special
KEEP = IDS > 0
DOCUMENT = np.sort(RNG.integers(5, 30, TOKENS)).astype(np.int32)
VOCABULARY = pd.DataFrame({"characters": np.arange(20) % 5 + 1, "special": np.arange(20) == 0, "partial": False})
MODEL = [RNG.normal(size=(TOKENS, 6)).astype(np.float32) + 3 for _ in range(2)]
OTHER = RNG.normal(size=(TOKENS, 9)).astype(np.float32) * 2 - 5
OTHER[:, 4] = 2 * MODEL[0][:, 1] + 0.1 * RNG.normal(size=TOKENS)  # a copy
OTHER[:, 7] = -MODEL[1][:, 2]  # the same turned around is not a match
MODEL[1][:, 5] = 0.25  # never varies


def write(
    folder: Path, layers: list[np.ndarray], ids: np.ndarray = IDS, document: np.ndarray = DOCUMENT
) -> tuple[list[str], list[str]]:
    """A model in two shards, and tables of its neurons."""
    folder.mkdir(parents=True)
    shards, tables = [], []
    for i, part in enumerate((slice(0, 300), slice(300, len(ids)))):
        shards.append(str(folder / f"shard_{i:04d}.h5"))
        tokens = Tokens(ids[part], ids[part], ids[part], document[part])
        with ActivationShardWriter(shards[-1], tokens, {}, "float32", "none") as writer:
            for layer, values in enumerate(layers):
                writer.append("mlp_pre", layer, values[part])
            writer.finish()
    for layer, values in enumerate(layers):
        exact = values[ids > 0].astype(np.float64)
        table = pd.DataFrame({"neuron": np.arange(exact.shape[1]), "mean": exact.mean(0), "std": exact.std(0, ddof=1)})
        tables.append(str(folder / f"layer_{layer:02d}.parquet"))
        write_table(tables[-1], table)
    return shards, tables


HELD = {True: 4 * KEEP.sum() * 9, False: 4 * KEEP.sum() * 9 - 1}
BY_RUN = {True: 4 * RUNS * 6 * 9, False: 4 * RUNS * 6 * 9 - 1}


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool, bool, int], tuple[pd.DataFrame, ...]]:
    """Both tables: whether the other layer is held, whether there are products by runs, and the threads."""
    folder = tmp_path_factory.mktemp("pairs")
    (shards, tables), (other_shards, other_tables) = write(folder / "model", MODEL), write(folder / "other", [OTHER])

    def tables_of(held: bool, by_run: bool, threads: int) -> tuple[pd.DataFrame, ...]:
        with pytest.MonkeyPatch.context() as patch:
            for module, name in product((matching, layer_units), ("TOKENS_AT_ONCE", "PIECE")):
                patch.setattr(module, name, {"TOKENS_AT_ONCE": 50, "PIECE": 7}[name])
            patch.setattr(matching, "TOKENS_OF_ALL_LAYERS", 40)
            patch.setattr(matching, "PRODUCTS_AT_ONCE", 4)
            patch.setattr(best, "NEURONS_AT_ONCE", 4)
            patch.setattr(layer_units, "HELD_BYTES", HELD[held])
            patch.setattr(matching, "RUN_BYTES", BY_RUN[by_run])
            return match_layer(shards, tables, other_shards, other_tables[0], VOCABULARY, 0, 0, threads)

    return tables_of


@pytest.fixture(scope="module", params=[True, False], ids=["products by runs", "a second pass"])
def matches(request: pytest.FixtureRequest, matched: Callable) -> pd.DataFrame:
    return matched(True, request.param, 1)[0]


@pytest.mark.parametrize("by_run", [True, False], ids=["products by runs", "a second pass"])
def test_what_is_held_and_how_many_threads_change_nothing(by_run: bool, matched: Callable) -> None:
    for held, threads in ((False, 1), (True, 2)):
        for table, again in zip(matched(held, by_run, threads), matched(True, by_run, 1), strict=True):
            pd.testing.assert_frame_equal(table, again, check_exact=True)


@pytest.mark.parametrize(("held", "by_run", "passes"), [(True, True, 1), (False, True, 3), (False, False, 4)])
def test_the_other_layer_is_read_once_where_it_is_held(
    held: bool, by_run: bool, passes: int, matched: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, rows = [], Runs.rows
    monkeypatch.setattr(Runs, "rows", lambda runs, reader, at: read.append(reader.width) or rows(runs, reader, at))
    matched(held, by_run, 1)
    assert read.count(9) == passes and read.count(6) == (2 if by_run else 4)


def test_no_more_threads_are_used_than_there_are_cores(matched: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(matching, "ThreadPoolExecutor", lambda count: asked.append(count) or ThreadPoolExecutor(count))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    for threads in (1, 4):
        matched(True, True, threads)
    assert asked == [1, 2]


def correlations(layer: int, others: np.ndarray, chosen: np.ndarray = KEEP) -> np.ndarray:
    """Of the layer's neurons with those of ``others`` over the ``chosen`` tokens, by numpy."""
    varying = MODEL[layer][chosen].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(varying.T, others[chosen].astype(np.float64).T)[:6, 6:]


def test_matches_are_the_largest_correlations(matches: pd.DataFrame) -> None:
    for layer in range(2):
        r, found = correlations(layer, OTHER), matches[matches["layer"] == layer]
        varies = ~np.isnan(r[:, 0])
        np.testing.assert_allclose(found["r"][varies], r[varies].max(axis=1), atol=1e-5)
        assert found["other_neuron"][varies].tolist() == r[varies].argmax(axis=1).tolist()
    assert matches.loc[1, "other_neuron"] == 4
    assert matches.loc[1, "r"] > 0.99
    assert matches.loc[6 + 2, "other_neuron"] != 7


@pytest.mark.parametrize("by_run", [True, False], ids=["products by runs", "a second pass"])
def test_neurons_of_the_other_layer_have_their_best_match_of_all_layers(by_run: bool, matched: Callable) -> None:
    matches, back = matched(True, by_run, 1)
    r = np.nan_to_num(np.concatenate([correlations(layer, OTHER) for layer in range(2)]), nan=-1)
    place = list(zip(*(matches[name] for name in ("layer", "neuron")), strict=True))
    assert list(back) == ["layer", "neuron", "other_layer", "other_neuron", "r"]
    assert back["layer"].eq(0).all() and back["neuron"].tolist() == list(range(9))
    np.testing.assert_allclose(back["r"], r.max(axis=0), atol=1e-5)
    assert list(zip(back["other_layer"], back["other_neuron"], strict=True)) == [place[i] for i in r.argmax(axis=0)]
    # Of a pair that are each other's best, r is the same both ways.
    assert tuple(back.loc[4, ["other_layer", "other_neuron"]]) == (0, 1) and back["r"][4] == matches["r"][1]
    assert back["other_layer"].nunique() == 2


def test_what_never_varies_is_no_match_either_way(tmp_path: Path) -> None:
    other = OTHER.copy()
    other[:, 3] = 2.5
    constant = np.full_like(MODEL[0], 0.25)
    for layers, none in (([MODEL[1], constant], [3]), ([constant], range(9))):
        folder = tmp_path / str(len(layers))
        (shards, tables), (other_shards, other_tables) = write(folder / "m", layers), write(folder / "o", [other])
        _, back = match_layer(shards, tables, other_shards, other_tables[0], VOCABULARY, 0, 0, 1)
        assert np.flatnonzero(back["r"].isna()).tolist() == list(none)
        assert (back.loc[list(none), ["other_layer", "other_neuron"]] == -1).all(axis=None)
        assert back["other_layer"].max() <= 0 and 5 not in back["other_neuron"].tolist()


def rotated(number: int) -> np.ndarray:
    """The other layer under one of the rotations."""
    rng = np.random.default_rng(0)
    return [Rotation(9, rng) for _ in range(ROTATIONS)][number](OTHER.astype(np.float64))


def test_a_rotated_layer_is_the_layer_rotated(matches: pd.DataFrame) -> None:
    """Rotating correlations equals rotating the activations themselves."""
    for layer in range(2):
        for number in range(ROTATIONS):
            r = correlations(layer, rotated(number))
            varies = ~np.isnan(r[:, 0])
            found = matches[matches["layer"] == layer][f"r_rotated_{number}"]
            np.testing.assert_allclose(found[varies], r[varies].max(axis=1), atol=1e-5)
    assert matches[[f"r_rotated_{number}" for number in range(ROTATIONS)]].dropna().nunique(axis=1).min() > 1


def test_runs_are_of_whole_documents_and_about_as_long() -> None:
    run = run_of(DOCUMENT, KEEP)
    assert pd.Series(run).groupby(DOCUMENT[KEEP]).nunique().max() == 1
    sizes = np.bincount(run)
    assert len(sizes) == RUNS and (np.diff(run) >= 0).all()
    assert sizes.max() - sizes.min() <= 2 * np.bincount(DOCUMENT[KEEP]).max()


@pytest.mark.parametrize("documents", [1, 4, RUNS])
def test_each_document_is_a_run_where_there_are_few(documents: int) -> None:
    document = np.sort(RNG.integers(0, documents, 200))
    assert run_of(document, np.ones(200, dtype=bool)).tolist() == document.tolist()


def run_of(document: np.ndarray, keep: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(Runs(document, keep))), Runs(document, keep).counts)


def test_without_a_run_r_is_that_of_the_same_pair_over_the_other_tokens(matches: pd.DataFrame) -> None:
    run = np.full(TOKENS, -1)
    run[KEEP] = run_of(DOCUMENT, KEEP)
    for measure, others in zip(MEASURES, (OTHER, *map(rotated, range(ROTATIONS))), strict=True):
        for layer in range(2):
            best = np.nan_to_num(correlations(layer, others), nan=-1).argmax(axis=1)
            found = matches[matches["layer"] == layer]
            for left_out in range(RUNS):
                r = correlations(layer, others, KEEP & (run != left_out))[np.arange(6), best]
                np.testing.assert_allclose(found[without(measure, left_out)], r, atol=2e-5)
    assert matches[without("r", 0)].dtype == np.float32


def test_a_neuron_that_never_varies_has_no_match(matches: pd.DataFrame) -> None:
    constant = matches.iloc[11]
    assert constant[[name for name in matches if name.startswith("r")]].isna().all()
    assert constant["other_neuron"] == -1
    assert matches["r"].notna().sum() == 11


def test_a_rotation_is_orthogonal_and_mixes_all_neurons() -> None:
    matrix = Rotation(64, np.random.default_rng(1))(np.eye(64))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(64), atol=1e-6)
    assert np.abs(matrix).max() < 0.7
    units = np.array([5, 0, 63, 5])
    np.testing.assert_allclose(Rotation(64, np.random.default_rng(1)).weights(units), matrix[:, units].T, atol=1e-6)


def test_models_that_read_other_tokens_are_not_compared(tmp_path: Path) -> None:
    (shards, tables), (other_shards, other_tables) = (
        write(tmp_path / "model", MODEL[:1]),
        write(tmp_path / "other", [OTHER], IDS[::-1].copy()),
    )
    with pytest.raises(UserError, match="hold different tokens; only models with one tokenizer"):
        match_layer(shards, tables, other_shards, other_tables[0], VOCABULARY, 0, seed=0, threads=1)


def match_tables(folder: Path, *of_layers: dict[str, list[float]]) -> list[str]:
    """Tables of matches with the layers of another model, of which all rotations and runs left out are given."""
    folder.mkdir(exist_ok=True)
    paths = []
    for other_layer, columns in enumerate(of_layers):
        table = pd.DataFrame({"layer": [0, 0, 1, 1], "neuron": [0, 1, 0, 1], "other_layer": other_layer, **columns})
        paths.append(str(folder / f"{other_layer}.parquet"))
        write_table(paths[-1], table.assign(other_neuron=0))
    return paths


def columns(r: list[float], rotated: list[float], runs: int, seed: int) -> dict[str, np.ndarray]:
    """Rotation i gives ``rotated`` + i / 100; without a run values differ a little."""
    rng, given = np.random.default_rng(seed), {"r": np.array(r)}
    given |= {f"r_rotated_{i}": np.array(rotated) + i / 100 for i in range(ROTATIONS)}
    left = {without(m, run): v + 0.01 * rng.normal(size=4) for m, v in given.items() for run in range(runs)}
    return given | left


def test_matches_table_takes_the_best_of_all_layers(tmp_path: Path) -> None:
    first = columns([0.9, 0.2, 0.3, np.nan], [0.4, 0.3, 0.1, np.nan], 4, seed=1)
    second = columns([0.1, 0.5, 0.6, np.nan], [0.5, 0.1, 0.2, np.nan], 4, seed=2)
    # Of neuron 1, one rotation is better in the second layer: the best of all layers comes before the average.
    second["r_rotated_4"][1] = 0.44
    table = matches_table({("a", "b"): match_tables(tmp_path, first, second)}).set_index(["layer", "other_layer"])
    assert table["share"].to_dict() == {(0, 0): 0.5, (0, 1): 0.5, (1, 0): 0, (1, 1): 1}
    assert table.loc[(0, 0), "neurons"] == 2 and table.loc[(1, 0), "neurons"] == 1
    rotated = [0.5 + 0.02, 0.3 + (0 + 0.01 + 0.02 + 0.03 + 0.14) / 5]
    assert table.loc[(0, 0), "excess"] == pytest.approx(((0.9 - rotated[0]) + (0.5 - rotated[1])) / 2)
    assert table.loc[(0, 1), "r_median"] == pytest.approx(0.7)
    assert table.loc[(0, 1), "rotated_q95"] == pytest.approx(np.quantile(rotated, 0.95))

    r = [(first["r" + s][0], second["r" + s][1]) for s in (f"_without_{i:02d}" for i in range(4))]
    of_rotations = [
        [(second, 0, i), (first if i < 4 else second, 1, i)] for i in range(ROTATIONS)
    ]  # the table, the neuron and the rotation
    rest = [
        np.mean([[of[without(f"r_rotated_{i}", run)][neuron] for of, neuron, i in row] for row in of_rotations])
        for run in range(4)
    ]
    left_out = np.mean(r, axis=1) - rest
    of_rotations = np.array([[0.5 + i / 100, 0.3 + i / 100 + 0.1 * (i == 4)] for i in range(ROTATIONS)]).mean(axis=1)
    error = np.sqrt(3 / 4 * ((left_out - left_out.mean()) ** 2).sum() + of_rotations.var(ddof=1) / ROTATIONS)
    half_width = scipy.stats.t.ppf(0.975, 3) * error
    ends = table.loc[(0, 0), ["excess_low", "excess_high"]].to_numpy(float)
    np.testing.assert_allclose(ends, table.loc[(0, 0), "excess"] + half_width * np.array([-1, 1]))
    assert table["runs"].eq(4).all()


def test_a_layer_in_which_nothing_varies_is_no_match(tmp_path: Path) -> None:
    r = [0.9, 0.2, 0.3, 0.1]
    constant = columns([np.nan] * 4, [np.nan] * 4, 3, seed=1)
    table = matches_table({("a", "b"): match_tables(tmp_path, constant, columns(r, r, 3, seed=2))})
    assert (table.loc[table["other_layer"] == 1, "share"] == 1).all()
    assert table["r_median"].unique().tolist() == pytest.approx([0.55, 0.2])


def test_of_one_document_the_excess_has_no_interval(tmp_path: Path) -> None:
    one_document = np.zeros(TOKENS, dtype=np.int32)
    sides = [write(tmp_path / name, layers, IDS, one_document) for name, layers in (("m", MODEL[:1]), ("o", [OTHER]))]
    (shards, tables), (other_shards, other_tables) = sides
    matches, _ = match_layer(shards, tables, other_shards, other_tables[0], VOCABULARY, 0, seed=0, threads=1)
    write_table(tmp_path / "0.parquet", matches)
    table = matches_table({("a", "b"): [str(tmp_path / "0.parquet")]})
    assert table["excess"].notna().all() and table[["excess_low", "excess_high"]].isna().all(axis=None)


def excess_of(x: np.ndarray, y: np.ndarray, document: np.ndarray, seed: int) -> dict[str, float]:
    """As of match_layer and matches_table, of the activations of two layers in memory."""
    sample = Runs(document, np.ones(len(x), dtype=bool))
    of_run = np.split(np.arange(len(x)), sample.stops[:-1])
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), y - y.mean(axis=0)
    rng = np.random.default_rng(seed)
    rotations = [Rotation(y.shape[1], rng) for _ in range(ROTATIONS)]
    units = [x, y, *(rotation(y) for rotation in rotations)]
    sums = [Sums.zeros(len(sample), values.shape[1]) for values in units]
    for (run, tokens), (of_units, values) in product(enumerate(of_run), zip(sums, units, strict=True)):
        of_units.add(run, values[tokens])
    products = np.stack([x[tokens].T @ y[tokens] for tokens in of_run])
    own, others, counts = sums[0], sums[1:], sample.counts
    with ThreadPoolExecutor(1) as pool:
        r, match = best_matches(products.sum(axis=0), own, others, counts, rotations, pool)
        pairs = pairs_of_products(products, match, rotations, pool)
    found = pd.DataFrame(measured(r, match, own, others, counts, pairs))
    for suffix in ("", *(without("", run) for run in range(len(sample)))):
        found[f"r_rotated{suffix}"] = found[[f"{measure}{suffix}" for measure in MEASURES[1:]]].mean(axis=1)
    return excess(found)


@pytest.mark.parametrize("planted", [0.0, 1.0], ids=["independent", "copies with noise"])
def test_the_interval_of_the_excess_holds_it(planted: float) -> None:
    """Where neurons follow others, in 95% of data sets; where none does, its center is zero and it is too wide: the
    largest of many equal correlations varies less than any one of them."""
    rng, found = np.random.default_rng(4), []
    for number in range(60):
        document = np.sort(rng.integers(0, 40, 600))
        # Tokens of a document are alike.
        x, y = (rng.normal(size=(600, n)) + 0.5 * rng.normal(size=(40, n))[document] for n in (30, 40))
        found.append(excess_of(x + planted * y[:, :30], y, document, seed=number))
    table = pd.DataFrame(found)
    value, spread = table["excess"], table["excess"].std()
    assert value.mean() == pytest.approx(0.44 if planted else 0, abs=0.03 if planted else 3 * spread / np.sqrt(60))
    covered = np.mean((table["excess_low"] <= value.mean()) & (table["excess_high"] >= value.mean()))
    assert covered >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 60)
    width = (table["excess_high"] - table["excess_low"]).mean() / (2 * scipy.stats.t.ppf(0.975, RUNS - 1) * spread)
    assert 0.85 < width < (1.2 if planted else 2.5)


def test_profiles_are_compared_at_the_depths_of_the_shallower_model() -> None:
    quantiles = ("r_q05", "r_q25", "r_median", "r_q75", "r_q95")
    short = pd.DataFrame({"model": "a", "relative_depth": [0, 0.5, 1], **{q: [0.0, 1, 2] for q in quantiles}})
    long = pd.DataFrame(
        {"model": "b", "relative_depth": np.linspace(0, 1, 6), **{q: np.arange(6.0) for q in quantiles}}
    )
    evidence = pd.concat(
        table.assign(measure="r", statistic="median", null_low=-table["r_median"] / 10, null_high=0.1)
        for table in (short, long)
    )
    table = profiles_table(pd.concat([long, short]), evidence, [["a", "b"]])
    assert len(table) == 3 * 5
    of = table[table["quantile"] == 0.25]
    assert of["null_low"].isna().all()
    assert of["relative_depth"].tolist() == [0, 0.5, 1]
    assert of["other_r"].tolist() == pytest.approx([0, 2.5, 5])
    assert of["difference"].tolist() == pytest.approx([0, 1.5, 3])
    median = table[table["quantile"] == 0.5]
    assert median["other_null_low"].tolist() == pytest.approx([0, -0.25, -0.5])
    assert median["null_high"].tolist() == [0.1, 0.1, 0.1]
