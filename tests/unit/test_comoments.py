"""Co-moments against plain numpy and scipy: any split into shards, and what may be missing in one."""

from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from layerscope.stats.document_clusters import CLUSTERS
from layerscope.studies.path_length.comoments import CoMoments, comoments_of, merge, without_each
from layerscope.studies.path_length.jackknife import jackknife_paths
from layerscope.studies.path_length.lengths import QUANTITIES, Values, chosen
from layerscope.studies.path_length.moments import mean, r, std
from layerscope.studies.path_length.path_shards import read_path_shard, write_path_shard
from layerscope.studies.path_length.summarize_layers import layers_table
from layerscope.tokenize.token_shards import Tokens

LAYERS, LENGTH, SEQUENCES = 3, 8, 40
TOKENS = LENGTH * SEQUENCES


def tokens_of(documents: np.ndarray) -> Tokens:
    numbers = np.arange(len(documents), dtype=np.int32)
    return Tokens(numbers, numbers // LENGTH, numbers % LENGTH, documents.astype(np.int32))


def random_values(seed: int, count: int = TOKENS) -> Values:
    """Correlated, with means of 30 standard deviations and a first token that is 100 times as large."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(LAYERS, count))
    large = np.where(np.arange(count) % LENGTH == 0, 100, 1)
    values = {name: ((30 + shared + rng.normal(size=shared.shape)) * large).astype(np.float32) for name in QUANTITIES}
    values["path_attn"][0] = values["path_mlp"][0] = np.nan
    return values


DOCUMENTS = np.sort(np.random.default_rng(0).integers(0, 130, TOKENS))  # more than there are clusters
VALUES, TEXT = random_values(0), tokens_of(DOCUMENTS)
INCLUDED = np.random.default_rng(1).random(TOKENS) < 0.9


def part_of(tokens: slice) -> CoMoments:
    return comoments_of(chosen(VALUES, tokens), TEXT.part(tokens.start, tokens.stop), INCLUDED[tokens])


WHOLE = part_of(slice(0, TOKENS))


def assert_close(found: CoMoments, expected: CoMoments) -> None:
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-12)
    squares = np.sqrt(np.diagonal(expected.products, axis1=-2, axis2=-1))
    scale = squares[..., :, None] * squares[..., None, :]
    apart = np.abs(found.products - expected.products)
    assert (np.isnan(apart) == np.isnan(expected.products)).all()
    assert (apart[~np.isnan(apart)] <= 1e-12 * scale[~np.isnan(apart)]).all()


@settings(deadline=None)
@given(cuts=st.sets(st.integers(1, TOKENS - 1), max_size=12), order=st.randoms(use_true_random=False))
def test_any_split_in_any_order_gives_the_whole(cuts: set[int], order: Random) -> None:
    bounds = [0, *sorted(cuts), TOKENS]
    parts = [part_of(slice(*pair)) for pair in pairwise(bounds)]
    merged = merge(parts)
    assert_close(merged, WHOLE)
    again = merge([part_of(slice(*pair)) for pair in pairwise(bounds)])
    for name in ("tokens", "means", "products"):
        np.testing.assert_array_equal(getattr(again, name), getattr(merged, name))
    order.shuffle(parts)
    assert_close(merge(parts), WHOLE)


def test_each_cluster_equals_numpy() -> None:
    for number, keep in enumerate((INCLUDED, INCLUDED & (TEXT.position > 0))):
        for cluster in range(CLUSTERS):
            of = keep & (cluster == DOCUMENTS % CLUSTERS)
            assert WHOLE.tokens[number, cluster] == of.sum()
            for layer in range(LAYERS) if of.any() else []:
                x = np.stack([VALUES[name][layer, of].astype(np.float64) for name in QUANTITIES])
                np.testing.assert_allclose(WHOLE.means[number, cluster, layer], x.mean(axis=1), rtol=1e-13)
                expected = np.cov(x, ddof=0) * of.sum() if of.sum() > 1 else np.where(np.isnan(x @ x.T), np.nan, 0)
                np.testing.assert_allclose(WHOLE.products[number, cluster, layer], expected, rtol=1e-9, atol=1e-7)


def test_statistics_equal_scipy_with_each_cluster_left_out() -> None:
    clusters = [WHOLE.group(0, cluster) for cluster in range(CLUSTERS)]
    for cluster, rest in enumerate([merge(clusters), *without_each(clusters)], start=-1):
        keep = INCLUDED & (cluster != DOCUMENTS % CLUSTERS)
        assert rest.tokens == keep.sum()
        for layer in range(1, LAYERS):
            of = {name: VALUES[name][layer, keep].astype(np.float64) for name in QUANTITIES}
            expected = scipy.stats.pearsonr(of["path_mlp"], of["path_resid"]).statistic
            assert r(rest, "path_mlp", "path_resid")[layer] == pytest.approx(expected, abs=1e-13)
            assert mean(rest, "step_attn")[layer] == pytest.approx(of["step_attn"].mean(), rel=1e-13)
            assert std(rest, "cosine_attn_mlp")[layer] == pytest.approx(of["cosine_attn_mlp"].std(ddof=1), rel=1e-12)
        assert np.isnan(r(rest, "path_mlp", "path_resid")[0]) and np.isnan(mean(rest, "path_mlp")[0])


def test_what_does_not_vary_has_no_correlation() -> None:
    """Exactly: with equal values over clusters and shards whose means are merged."""
    values = dict(VALUES)
    values["path_mlp"] = np.full_like(values["path_mlp"], 0.1)
    half = slice(0, TOKENS // 2), slice(TOKENS // 2, TOKENS)
    merged = merge([comoments_of(chosen(values, of), TEXT.part(of.start, of.stop), INCLUDED[of]) for of in half])
    every = merge([merged.group(0, cluster) for cluster in range(CLUSTERS)])
    assert (every.products[:, 1, 1] == 0).all()
    assert np.isnan(r(every, "path_mlp", "path_resid")).all()
    assert mean(every, "path_mlp") == pytest.approx([np.float32(0.1)] * LAYERS, rel=0)


@pytest.mark.parametrize("documents", [DOCUMENTS * 0 + 5, DOCUMENTS])
def test_no_token_that_takes_part_leaves_nothing(documents: np.ndarray) -> None:
    """As where all but the first of a sequence are special tokens."""
    tokens = tokens_of(documents)
    found = comoments_of(VALUES, tokens, tokens.position == 0)
    assert found.tokens[0].sum() == SEQUENCES and found.tokens[1].sum() == 0
    assert (found.means[1] == 0).all() and (found.products[1] == 0).all()
    nothing = merge([found.group(1, cluster) for cluster in range(CLUSTERS)])
    for statistic in (mean(nothing, "step_mlp"), std(nothing, "step_mlp"), r(nothing, "path_mlp", "path_resid")):
        assert np.isnan(statistic).all()
    assert_close(merge([found, WHOLE]).group(1), WHOLE.group(1))


def test_one_document_left_out_leaves_nothing() -> None:
    only = comoments_of(VALUES, tokens_of(DOCUMENTS * 0 + 203), INCLUDED)
    assert np.flatnonzero(only.tokens[0]).tolist() == [3]
    [rest] = without_each([only.group(0, 3)])
    assert rest.tokens == 0 and np.isnan(mean(rest, "path_resid")).all()


def write(folder: Path, stored: list[int]) -> list[str]:
    """Shards of ten sequences each, of which so many are stored."""
    paths, size = [], 10 * LENGTH
    for shard, sequences in enumerate(stored):
        of = slice(shard * size, (shard + 1) * size)
        paths.append(str(folder / f"{shard}.h5"))
        part = chosen(VALUES, of), TEXT.part(of.start, of.stop), INCLUDED[of]
        write_path_shard(paths[-1], *part, {"model": "m", "shard": shard}, sequences)
    return paths


def test_only_ranks_rest_on_the_stored_sample(tmp_path: Path) -> None:
    """The rest is bit for bit that of a sample that is stored in whole; ranks are those of the first sequences."""
    tables, draws = {}, {}
    for stored in ([10, 10, 10, 10], [10, 4, 0, 0]):
        (folder := tmp_path / str(sum(stored))).mkdir()
        paths = write(folder, stored)
        tables[sum(stored)], draws[sum(stored)] = layers_table({"m": paths}), jackknife_paths(paths)
    ranked = ["tokens_stored", "r_spearman_attn", "r_spearman_mlp"]
    pd.testing.assert_frame_equal(tables[40].drop(columns=ranked), tables[14].drop(columns=ranked), check_exact=True)
    linear = [draw[~draw["statistic"].str.startswith("rho")].reset_index(drop=True) for draw in draws.values()]
    pd.testing.assert_frame_equal(*linear, check_exact=True)
    assert set(linear[0]["clusters"]) == {len(np.unique(DOCUMENTS[INCLUDED] % CLUSTERS))}
    assert set(linear[0]["tokens"]) == set(tables[14]["tokens"])

    first = np.arange(TOKENS) < 14 * LENGTH
    rows = tables[14].set_index(["token_filter", "layer"])
    ranks = draws[14][draws[14]["statistic"].str.startswith("rho_mlp")]
    for name, keep, statistic in (
        ("all", INCLUDED & first, "rho_mlp_all"),
        ("without_first", INCLUDED & first & (TEXT.position > 0), "rho_mlp"),
    ):
        of = ranks[ranks["statistic"] == statistic]
        assert set(of["tokens"]) == {keep.sum()} == set(rows.loc[name, "tokens_stored"])
        clusters = np.unique(DOCUMENTS[INCLUDED & first] % CLUSTERS)
        assert set(of["clusters"]) == {len(clusters)} and len(clusters) < CLUSTERS
        for layer in range(1, LAYERS):
            expected = scipy.stats.spearmanr(VALUES["path_mlp"][layer, keep], VALUES["path_resid"][layer, keep])
            assert rows.loc[(name, layer), "r_spearman_mlp"] == pytest.approx(expected.statistic, abs=1e-12)
            values = of[of["layer"] == layer].set_index(["kind", "resample"])["value"]
            assert values["observed", 0] == pytest.approx(expected.statistic, abs=1e-12)
            left = keep & (clusters[3] != DOCUMENTS % CLUSTERS)
            expected = scipy.stats.spearmanr(VALUES["path_mlp"][layer, left], VALUES["path_resid"][layer, left])
            assert values["jackknife", 3] == pytest.approx(expected.statistic, abs=1e-12)


def test_documents_are_counted_once(tmp_path: Path) -> None:
    table = layers_table({"m": write(tmp_path, [10, 0, 0, 0])}).set_index("token_filter")
    assert set(table.loc["all", "documents"]) == {len(np.unique(DOCUMENTS[INCLUDED]))}
    assert set(table.loc["without_first", "documents"]) == {len(np.unique(DOCUMENTS[INCLUDED & (TEXT.position > 0)]))}


@pytest.mark.parametrize("sequences", [0, 3, 10])
def test_the_first_sequences_are_stored(tmp_path: Path, sequences: int) -> None:
    """And co-moments are of all, whatever is stored."""
    [path] = write(tmp_path, [sequences])
    shard, count = read_path_shard(path), sequences * LENGTH
    assert shard.attributes["stored_sequences"] == sequences
    assert shard.tokens == TEXT.part(0, count)
    np.testing.assert_array_equal(shard.included, INCLUDED[:count])
    for name, found in shard.quantities.items():
        np.testing.assert_array_equal(found, VALUES[name][:, :count])
    np.testing.assert_array_equal(shard.comoments.products, part_of(slice(0, 10 * LENGTH)).products)
