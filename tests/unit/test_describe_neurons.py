"""Tables that describe neurons one by one, against plain loops."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from stored_layers import CONSTANT, INPUT_IDS, KEPT, LAYERS, LENGTHS, MEMBERS, NEURONS, VOCABULARY, write_shards

from layerscope.studies.token_length.describe_layer import describe_layer
from layerscope.studies.token_length.length_means import LengthMeans
from layerscope.studies.token_length.neuron_histogram import BINS
from layerscope.studies.token_length.token_types import LEAST, TYPES_KEPT, token_types_table
from layerscope.summarize.summarize_shard import summary_of_values
from layerscope.tokenize.token_shards import Tokens

VALUES = LAYERS[1][KEPT].astype(np.float64)
DOCUMENTS = np.array(KEPT) // 75


@pytest.fixture(scope="module")
def described(tmp_path_factory) -> tuple[pd.DataFrame, ...]:
    summaries, paths, _ = write_shards(tmp_path_factory.mktemp("shards"), 2)
    return describe_layer(summaries, paths, VOCABULARY, 1)


def jackknifed(values: np.ndarray, documents: np.ndarray) -> tuple[float, float, float]:
    """A mean and its interval, leaving out the documents that have any of the values one after the other."""
    numbers = sorted(set(documents.tolist()))
    without = [values[documents != number].mean() for number in numbers]
    error = np.sqrt((len(numbers) - 1) / len(numbers) * sum((one - np.mean(without)) ** 2 for one in without))
    sizes = [np.count_nonzero(documents == number) for number in numbers]
    degrees = sum(sizes) ** 2 / sum(size**2 for size in sizes) - 1
    width = scipy.stats.t.ppf(0.975, degrees) * error
    return values.mean(), values.mean() - width, values.mean() + width


def test_means_by_length_equal_a_loop_over_documents(described):
    table = described[1]
    lengths = sorted(set(LENGTHS.tolist()))
    assert table["neuron"].tolist() == np.repeat(range(NEURONS), len(lengths)).tolist()
    assert table["length"].tolist() == lengths * NEURONS
    assert table["tokens"].tolist() == [np.count_nonzero(length == LENGTHS) for length in lengths] * NEURONS
    for row in table.itertuples():
        at = row.length == LENGTHS
        expected = jackknifed(VALUES[at, row.neuron], DOCUMENTS[at])
        np.testing.assert_allclose([row.mean, row.low, row.high], expected, rtol=2e-7, atol=1e-6)


def test_a_length_of_one_document_has_a_mean_without_an_interval():
    means = LengthMeans(np.array([1, 1, 2, 2, 3]), np.array([0, 0, 0, 1, 7]))
    means.add(np.array([[1.0, 3.0, 5.0, 9.0, 4.0]]))
    table = means.table()
    assert table["mean"].tolist() == [2, 7, 4] and table["tokens"].tolist() == [2, 2, 1]
    assert table["low"].isna().tolist() == table["high"].isna().tolist() == [True, False, True]


def test_documents_that_share_a_cluster_are_left_out_together():
    lengths, documents = np.ones(8, int), np.array([0, 0, 100, 100, 1, 1, 201, 3])
    values = np.random.default_rng(0).normal(size=8)
    means = LengthMeans(lengths, documents)
    means.add(values[None])
    found = means.table()[["mean", "low", "high"]].to_numpy()[0]
    np.testing.assert_allclose(found, jackknifed(values, documents % 100), rtol=1e-6)


@pytest.mark.parametrize("of_document", [0.0, 1.0], ids=["independent tokens", "documents that differ"])
def test_the_interval_contains_the_mean_of_all_text_in_95_of_100_samples(of_document):
    """From both sides: neither too narrow nor much too wide. Its ends each miss it about equally often."""
    rng, samples = np.random.default_rng(0), 2000
    documents = np.repeat(np.arange(40), rng.integers(5, 40, 40))
    values = 3 + of_document * rng.normal(size=(samples, 40))[:, documents]
    values += rng.normal(size=values.shape)
    means = LengthMeans(rng.integers(1, 3, len(documents)), documents)
    means.add(values)
    table = means.table()
    for _, of in table.groupby("length"):
        below, above = (of["high"] < 3).mean(), (of["low"] > 3).mean()
        # Within four standard errors of 5%, and of 2.5% at either end.
        assert abs(below + above - 0.05) < 4 * np.sqrt(0.05 * 0.95 / samples)
        assert max(abs(below - 0.025), abs(above - 0.025)) < 4 * np.sqrt(0.025 * 0.975 / samples)


def test_histograms_count_every_token_between_the_smallest_and_the_largest(described):
    table = described[2]
    assert len(table) == NEURONS * BINS
    for neuron, bins in table.groupby("neuron"):
        x = VALUES[:, neuron]
        assert bins["left"].iloc[0] == np.float32(x.min()) and bins["right"].iloc[-1] == np.float32(x.max())
        assert bins["right"].iloc[:-1].tolist() == bins["left"].iloc[1:].tolist()
        for group, member in MEMBERS.items():
            assert bins[group].sum() == np.count_nonzero(member)
            if neuron != CONSTANT:
                counts, _ = np.histogram(x[member], BINS, (x.min(), x.max()))
                # A value on the edge of two bins is in either.
                assert abs(bins[group] - counts).sum() <= 2 * np.isin(x, np.linspace(x.min(), x.max(), BINS + 1)).sum()
    constant = table[table["neuron"] == CONSTANT]
    assert constant["short"].tolist() == [np.count_nonzero(MEMBERS["short"]), *[0] * (BINS - 1)]
    assert (constant[["left", "right"]] == np.float32(VALUES[0, CONSTANT])).all(axis=None)


def test_token_types_are_those_of_a_groupby(described):
    table = described[3]
    ids = INPUT_IDS[KEPT]
    counts = pd.Series(ids).value_counts()
    common = counts[counts >= LEAST].index
    assert len(common) >= 2 * TYPES_KEPT
    for (neuron, kind), of in table.groupby(["neuron", "kind"]):
        means = pd.Series(VALUES[:, neuron]).groupby(ids).mean().loc[sorted(common)]
        sign = -1 if kind == "top" else 1
        expected = (sign * means.astype(np.float32)).sort_values(kind="stable").index[:TYPES_KEPT]
        assert of["rank"].tolist() == list(range(TYPES_KEPT))
        np.testing.assert_allclose(of["mean"], means.loc[expected], rtol=1e-6)
        if neuron != CONSTANT:  # whose means are equal but for rounding
            assert of["token_id"].tolist() == expected.tolist()
        assert of["tokens"].tolist() == counts.loc[of["token_id"]].tolist()


def types_of(counts: list[int], token_types: int = 100) -> pd.DataFrame:
    """The table of one neuron whose activation is the token id, in a text of types that occur so often."""
    ids = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    ids = np.resize(ids, len(ids) + len(ids) % 2)
    types = pd.DataFrame({"characters": np.arange(len(counts)) % 5 + 1, "leading_space": False, "special": False})
    types = types.assign(partial=False, corpus_count=counts)
    place = np.arange(len(ids), dtype=np.int32)
    tokens = Tokens(ids, place // 2, place % 2, place // 2)
    summary = summary_of_values(ids[:, None].astype(np.float64), tokens, 2, types, token_types)
    return token_types_table(summary, len(types))


@pytest.mark.parametrize(
    ("counts", "top"),
    [([6] * 30, 29), ([6] * 24 + [4] * 6, 23), ([6] * 4 + [3] * 20 + [2] * 6, 23), ([1] * 8, 7)],
    ids=["all occur often", "the last are rare", "few occur often", "all are rare"],
)
def test_rare_types_are_left_out_where_others_are_enough(counts, top):
    table = types_of(counts)
    shown = min(TYPES_KEPT, len(counts))
    assert table.loc[table["kind"] == "top", "token_id"].tolist() == list(range(top, top - shown, -1))
    assert table.loc[table["kind"] == "bottom", "token_id"].tolist() == list(range(shown))


def test_types_without_a_class_of_their_own_are_not_known():
    assert sorted(set(types_of([9, 9, 9, 9, 5, 5], token_types=4)["token_id"])) == [0, 1, 2, 3]
    none = types_of([9, 9, 9, 9, 5, 5], token_types=0)
    assert len(none) == 0 and none.columns.tolist() == types_of([9, 9]).columns.tolist()
