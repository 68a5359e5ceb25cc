"""Contexts of neurons equal a search of all activations, one neuron at a time."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from stored_layers import INPUT_IDS, KEPT, LAYERS, LENGTH, NEURONS, TIED, TOKENS, VOCABULARY, write_shards

from layerscope.extract import activation_shards
from layerscope.io.tables import rows_of
from layerscope.studies.token_length.contexts import AT_QUANTILE, AT_RANDOM, DECILES, priorities, tokens_at_ranks
from layerscope.studies.token_length.describe_layer import describe_layer
from layerscope.summarize.neuron_sums import AFTER, BEFORE, CONTEXTS


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> tuple[list[str], list[str], list[str]]:
    return write_shards(tmp_path_factory.mktemp("shards"), 3)


@pytest.fixture(scope="module")
def contexts(shards) -> pd.DataFrame:
    return describe_layer(shards[0], shards[1], VOCABULARY, 1)[0]


def searched(values: np.ndarray, neuron: int, stored: int = TOKENS) -> list[tuple[str, int, int]]:
    """Kind, rank and place of all contexts of a neuron, by sorting all activations.

    Args:
        values: [tokens, neurons].
        stored: how many of the first tokens are stored.
    """
    kept, found = [i for i in KEPT if i < stored], []
    for kind, sign in (("most", -1), ("least", 1)):
        ordered = sorted(KEPT, key=lambda i: (sign * values[i, neuron], i))
        found += [(kind, rank, place) for rank, place in enumerate(ordered[:CONTEXTS])]
    ordered = sorted(kept, key=lambda i: (values[i, neuron], i))
    for decile in DECILES:
        middle = decile / 100 * (len(kept) - 1)
        ranks = sorted(range(len(kept)), key=lambda rank: (abs(rank - middle), rank))[:AT_QUANTILE]
        found += [(f"quantile_{decile}", i, ordered[rank]) for i, rank in enumerate(ranks)]
    drawn = sorted(kept, key=lambda place: int(priorities(np.array([place]))[0]))[:AT_RANDOM]
    return [*found, *(("random", rank, place) for rank, place in enumerate(drawn))]


def check(contexts: pd.DataFrame, values: np.ndarray, windows_of: np.ndarray, stored: int = TOKENS) -> None:
    expected = [(neuron, *of) for neuron in range(NEURONS) for of in searched(values, neuron, stored)]
    place = contexts["sequence"] * LENGTH + contexts["position"]
    columns = contexts["neuron"], contexts["kind"], contexts["rank"], place
    assert list(zip(*columns, strict=True)) == expected
    np.testing.assert_array_equal(INPUT_IDS[place], contexts["token_id"])
    np.testing.assert_array_equal(values[place, contexts["neuron"]], contexts["value"])
    windows = rows_of(contexts["window"])
    assert windows.dtype == np.float16 and windows.shape == (len(contexts), BEFORE + 1 + AFTER)
    for (neuron, _, _, at), window in zip(expected, windows, strict=True):
        for i, value in enumerate(window):
            token = at - BEFORE + i
            if token // LENGTH == at // LENGTH:
                assert value == np.float16(windows_of[token, neuron])
            else:
                assert np.isnan(value)


def test_every_context_of_every_neuron_is_found_by_a_search_of_all_activations(contexts):
    check(contexts, LAYERS[1], LAYERS[1])
    assert (rows_of(contexts["window"]) == -80).any()  # tokens that take part in nothing are in windows


def test_where_less_is_stored_most_and_least_are_still_of_all_tokens(tmp_path):
    summaries, paths, _ = write_shards(tmp_path, 3, stored=0.5)
    check(describe_layer(summaries, paths, VOCABULARY, 0)[0], LAYERS[0], LAYERS[0], 600)


def test_of_half_precision_contexts_of_the_stored_sample_are_those_of_what_is_stored(tmp_path):
    """Where more values are equal than in float32."""
    summaries, paths, _ = write_shards(tmp_path, 2, "float16", layers=[LAYERS[0].astype(np.float16)])
    values = LAYERS[0].astype(np.float16).astype(np.float32)
    check(describe_layer(summaries, paths, VOCABULARY, 0)[0], values, values)


@pytest.mark.parametrize("neurons", [0, 1, 5])
def test_how_many_neurons_are_held_at_once_and_shards_change_nothing(contexts, tmp_path, monkeypatch, neurons):
    monkeypatch.setattr(activation_shards, "BLOCK_BYTES", 8 * TOKENS * neurons)
    summaries, paths, _ = write_shards(tmp_path, 1)
    pd.testing.assert_frame_equal(describe_layer(summaries, paths, VOCABULARY, 1)[0], contexts)


@pytest.mark.parametrize("levels", [1, 2, 5, 1000])
def test_tokens_at_ranks_are_those_of_a_stable_sort(levels):
    rng = np.random.default_rng(levels)
    rows = rng.integers(0, levels, (20, 60)).astype(np.float32)
    rows[0, ::2] = -0.0  # equal to 0
    ranks = np.array([0, 1, 7, 30, 58, 59])
    assert np.array_equal(tokens_at_ranks(rows, ranks), np.argsort(rows, axis=1, kind="stable")[:, ranks])


def test_tied_neurons_have_tied_contexts(contexts):
    """So that the order among equal activations is put to the test above."""
    of = contexts[contexts["neuron"] == TIED]
    assert of["value"].nunique() < len(of) / 2


def test_random_tokens_are_uniform_over_the_text():
    """In parts of one text, and within sequences: χ² of how many fall into each tenth."""
    length, sequences, few = 50, 40, 256
    of_text, of_sequence, drawn = np.zeros(10), np.zeros(10), 0
    for first in range(0, 30 * sequences, sequences):
        places = np.arange(sequences * length, dtype=np.int64) + first * length
        chosen = np.argsort(priorities(places))[:few]
        of_text += np.bincount(chosen * 10 // len(places), minlength=10)
        of_sequence += np.bincount(chosen % length * 10 // length, minlength=10)
        drawn += len(chosen)
    assert drawn == 30 * few
    for counts in (of_text, of_sequence):
        assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_priorities_are_distinct_and_well_mixed():
    places = np.concatenate([np.arange(300_000), np.arange(10**12, 10**12 + 300_000)])
    found = priorities(places)
    assert found.dtype == np.uint64 and len(np.unique(found)) == len(places)
    assert scipy.stats.kstest(found / 2.0**64, "uniform").pvalue > 0.01
    bits = np.unpackbits(found.view(np.uint8).reshape(-1, 8), axis=1)
    assert abs(bits.mean(axis=0) - 0.5).max() < 0.005  # 8 standard errors
    # A neighbour differs in half of the bits, and says nothing of which.
    changed = np.bitwise_count(found[1:] ^ found[:-1])
    assert changed.mean() == pytest.approx(32, abs=0.05) and changed.std() == pytest.approx(4, abs=0.05)
    assert abs(np.corrcoef(found[1:] / 2.0**64, found[:-1] / 2.0**64)[0, 1]) < 0.01


def test_priorities_are_those_of_splitmix64():
    """The generator's first numbers from the seed 0, in its authors' program."""
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert priorities(np.arange(4)).tolist() == first
