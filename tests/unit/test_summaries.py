"""Sums of tokens and neurons equal a plain loop over tokens."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from summary_loop import KEPT, MERGED, UNIT, Loop, same_bits, same_values
from texts import PARTIAL, SPECIAL, TYPES, Text, activations, reduced, summary_of, text_of

from layerscope.io.errors import UserError
from layerscope.summarize.neuron_sums import CONTEXTS, NeuronSums
from layerscope.summarize.token_sums import places_of
from layerscope.tokenize.token_shards import Tokens

NEURONS = 5


def check_text(text: Text, values: np.ndarray, token_types: int = TYPES, batches: Sequence[int] = (2, 1)) -> NeuronSums:
    """Compare the summary of one shard in float64 with a loop; the sums of its neurons."""
    tokens, neurons = reduced(text, values, token_types, batches)
    sizes = {field.name: getattr(neurons, field.name).dtype.itemsize for field in fields(neurons)}
    assert all(size == {"token": 4, "window": 2}.get(name.rpartition("_")[2], 8) for name, size in sizes.items())
    Loop(text, values, neurons.pilot, token_types).check(tokens, neurons)
    return neurons


@pytest.mark.parametrize("token_types", [TYPES, 7, 0], ids=["all types", "seven types", "buckets alone"])
@pytest.mark.parametrize(
    ("sequences", "length", "longest"),
    [(8, 32, 12), (6, 16, 150), (3, 200, 30), (40, 8, 3), (300, 1, 5)],
    ids=["shorter documents", "longer documents", "long sequences", "many documents", "sequences of one token"],
)
def test_every_field_equals_a_loop_over_tokens(sequences: int, length: int, longest: int, token_types: int) -> None:
    text = text_of(1, sequences, length, longest)
    check_text(text, activations(text, NEURONS), token_types)


def test_clusters_are_documents_until_there_are_a_hundred() -> None:
    text = text_of(2, 20, 32, longest=4)
    tokens, _ = reduced(text, activations(text, 1))
    documents = np.unique(text.tokens.document[text.keep])
    assert len(documents) > 150
    assert tokens.clusters.tolist() == sorted(set(documents % 100)) and tokens.documents.tolist() == documents.tolist()


@pytest.mark.parametrize("mean", [0.0, 30.0, -3000.0])
def test_sums_in_float32_are_within_the_bound_of_its_rounding(mean: float) -> None:
    """Products and sums of n numbers in float32 are within n u Σ |term| of the exact ones, with u = 2⁻²⁴ (Higham 2002,
    Accuracy and Stability of Numerical Algorithms, section 3.1); whatever the mean is, as a pilot near it is subtracted
    first. Their sums over batches are float64; those of classes are not."""
    text = text_of(3, 12, 64)
    values = activations(text, NEURONS, mean=mean).astype(np.float32)
    tokens, neurons = reduced(text, values, batches=(4, 4))
    assert neurons.pilot.dtype == np.float32
    assert abs(neurons.pilot - values[text.keep].mean(axis=0)).max() < 0.3  # of a standard deviation of about 1.5
    roundings = 8  # of activation − pilot, of covariates, and of powers
    of_a_cluster = max(64, np.bincount(text.tokens.document).max())  # powers are summed by 64 tokens at most
    of_a_class = np.bincount(text.tokens.input_ids[text.keep]).max()
    loop = Loop(text, values, neurons.pilot.astype(np.float64))
    loop.check(tokens, neurons, (of_a_cluster + roundings) * UNIT, (of_a_class + roundings) * UNIT)


def test_half_precision_is_summed_as_float32() -> None:
    text = text_of(3, 4, 32)
    values = activations(text, 2).astype(np.float16)
    tokens, neurons = reduced(text, values)
    assert same_bits(neurons, reduced(text, values.astype(np.float32))[1])
    assert tokens.tokens == text.keep.sum()


def test_left_out_tokens_add_nothing() -> None:
    """Not a bit depends on their activations, be they massive as those of a first special token are, but in windows."""
    text = text_of(4, 8, 32)
    assert 5 < np.count_nonzero(~text.keep) < len(text.tokens) / 2
    for dtype in (np.float32, np.float64):
        values = activations(text, NEURONS).astype(dtype)
        massive = np.where(text.keep[:, None], values, np.random.default_rng(0).normal(size=values.shape) * 1e4)
        _, expected = reduced(text, values, batches=(3, 2))
        _, found = reduced(text, massive.astype(dtype), batches=(3, 2))
        windows = {name: getattr(expected, name) for name in ("most_window", "least_window")}
        assert same_bits(replace(found, **windows), expected) and not same_bits(found, expected)


def test_windows_end_with_their_sequence_and_with_the_range_of_half_precision() -> None:
    """Of sequences that are shorter than a window, too, and of a shard that is."""
    for sequences, length in ((1, 9), (7, 5), (4, 30), (3, 1)):
        text = text_of(17, sequences, length)
        values = activations(text, 3)
        values[::4] *= 1e6
        neurons = check_text(text, values, batches=(1,) * sequences)
        assert sequences * length < 20 or (abs(neurons.most_window) == 65504).any()


def with_ids(text: Text, ids: np.ndarray) -> Text:
    return replace(text, tokens=replace(text.tokens, input_ids=ids.astype(np.int32)))


def test_tokens_of_one_type_only() -> None:
    text = with_ids(text_of(5, 4, 16), np.full(64, 9))
    tokens, _ = reduced(text, activations(text, NEURONS))
    assert tokens.classes.tolist() == tokens.types.tolist() == [9] and tokens.type_counts.tolist() == [64]
    check_text(text, activations(text, NEURONS))


def test_one_document_only() -> None:
    text = text_of(6, 4, 32, longest=2)
    text = replace(text, tokens=replace(text.tokens, document=np.full(128, 217, np.int32)))
    tokens, _ = reduced(text, activations(text, NEURONS))
    assert tokens.clusters.tolist() == [17] and tokens.documents.tolist() == [217]
    check_text(text, activations(text, NEURONS))


def test_a_cluster_without_tokens_that_take_part_is_not_there() -> None:
    text = text_of(7, 6, 32, longest=30)
    documents = text.tokens.document
    for empty in (documents[0], documents[90], documents[-1]):
        some = with_ids(text, np.where(documents == empty, SPECIAL, np.maximum(text.tokens.input_ids, 3)))
        tokens, _ = reduced(some, activations(some, NEURONS))
        assert empty not in tokens.documents and empty % 100 not in tokens.clusters
        check_text(some, activations(some, NEURONS), batches=(1, 1, 1))


def test_batches_of_left_out_tokens_alone() -> None:
    """The first among them: then the pilot is that of the first batch that has others."""
    text = text_of(8, 6, 32)
    ids = np.maximum(text.tokens.input_ids, 3).reshape(6, 32)
    ids[[0, 1, 3]] = np.array([[SPECIAL], [PARTIAL[0]], [SPECIAL]])
    text, values = with_ids(text, ids.ravel()), activations(text, NEURONS, mean=30.0)
    values[~text.keep] = -400
    neurons = check_text(text, values, batches=(1,) * 6)
    np.testing.assert_allclose(neurons.pilot, values[64:96].mean(axis=0), rtol=1e-12)
    assert not np.isin(neurons.most_place // 32, [0, 1, 3]).any()


def test_a_shard_of_left_out_tokens_alone_changes_nothing() -> None:
    text = text_of(9, 6, 16)
    for empty in (slice(0, 2), slice(2, 4), slice(4, 6)):
        ids = np.maximum(text.tokens.input_ids, 3).reshape(6, 16)
        ids[empty] = SPECIAL
        some = with_ids(text, ids.ravel())
        values = activations(some, NEURONS, mean=30.0)
        merged = summary_of(some, values, cuts=(2, 4))
        Loop(some, values, merged.neurons.pilot).check(merged.tokens, merged.neurons, MERGED)


def test_extremes_that_are_equal_are_the_first_in_the_text() -> None:
    text = text_of(10, 10, 40)
    rng = np.random.default_rng(0)
    values = np.column_stack(
        [
            rng.integers(-2, 3, len(text.tokens)),  # many more ties than are kept
            np.zeros(len(text.tokens)),
            np.full(len(text.tokens), 0.1),
            np.where(rng.random(len(text.tokens)) < 0.5, 0.0, -0.0),  # equal, so the first in the text are kept
            np.sort(rng.integers(0, 30, len(text.tokens))),  # each batch has larger ones than the last
            -np.sort(rng.integers(0, 30, len(text.tokens))),
            np.where(np.arange(len(text.tokens)) % 57 == 50, 7.0, -7.0),
        ]
    ).astype(np.float64)
    places = places_of(text.tokens, text.length)[text.keep]
    for batches in ((), (1,) * 10, (3, 1, 5)):
        neurons = check_text(text, values, batches=batches)
        for constant in (1, 2, 3):
            assert neurons.most_place[:, constant].tolist() == places[:CONTEXTS].tolist()
            assert neurons.least_place[:, constant].tolist() == places[:CONTEXTS].tolist()
    flat = {int(place): at for at, place in enumerate(places_of(text.tokens, text.length))}
    for value, place in ((neurons.most_value, neurons.most_place), (neurons.least_value, neurons.least_place)):
        expected = values[[flat[int(one)] for one in place[:, 3]], 3]
        assert np.array_equal(np.signbit(value[:, 3]), np.signbit(expected))


@pytest.mark.parametrize("tokens", [1, CONTEXTS - 1, CONTEXTS, CONTEXTS + 1])
def test_extremes_of_few_tokens(tokens: int) -> None:
    text = text_of(11, 4, 30)
    ids = np.full(120, SPECIAL)
    ids[np.random.default_rng(tokens).permutation(120)[:tokens]] = 5
    text = with_ids(text, ids)
    neurons = check_text(text, activations(text, NEURONS))
    missing = max(0, CONTEXTS - tokens)
    for value, place, none in (
        (neurons.most_value, neurons.most_place, -np.inf),
        (neurons.least_value, neurons.least_place, np.inf),
    ):
        assert (place[CONTEXTS - missing :] == -1).all() and (value[CONTEXTS - missing :] == none).all()
        assert (place[: CONTEXTS - missing] >= 0).all()
    merged = summary_of(text, activations(text, NEURONS), cuts=(1, 2, 3)).neurons
    for name in KEPT:
        assert same_values(getattr(merged, name), getattr(neurons, name))


@pytest.mark.parametrize("rising", [1, -1])
def test_extremes_of_a_long_batch_and_of_many(rising: int) -> None:
    """Whatever the order in which they come; more values exceed those kept than are held while they wait."""
    text = text_of(12, 30, 100)
    rng = np.random.default_rng(0)
    trend = rising * np.linspace(0, 5, len(text.tokens))[:, None]
    values = rng.normal(size=(len(text.tokens), 3)) + trend * [0, 1, 100]
    for batches in ((), (1,) * 30, (20, 1)):
        check_text(text, values, batches=batches)


def test_heavy_tails_around_a_mean_of_thirty_standard_deviations() -> None:
    text = text_of(13, 20, 50)
    rng = np.random.default_rng(0)
    values = 30 + rng.standard_t(2.2, (len(text.tokens), 3)) / 3
    values[3] = 400.0
    check_text(text, values)
    merged = summary_of(text, values, cuts=(1, 7, 8), batches=(2,))
    Loop(text, values, merged.neurons.pilot).check(merged.tokens, merged.neurons, MERGED)
    # Of float32 activations: their sums over batches and shards are float64.
    single = values.astype(np.float32)
    merged = summary_of(text, single, cuts=(1, 7, 8), batches=(2,))
    assert merged.neurons.cluster_sums.dtype == np.float64
    Loop(text, single, merged.neurons.pilot).check(merged.tokens, merged.neurons, 200 * UNIT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_values_that_are_not_finite_are_named(value: float, dtype: type) -> None:
    text = text_of(14, 4, 16)
    values = activations(text, NEURONS).astype(dtype)
    values[40, 2] = value  # in the third batch
    with pytest.raises(UserError) as error:
        reduced(text, values, batches=(1, 1, 1))
    said = "models.tiny: mlp_pre of layer 3 holds NaN or Inf in 1 of 80 values; the weights are damaged"
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_places_are_numbers_of_the_whole_corpus() -> None:
    """Beyond 2³¹, of which int32 would make negative numbers."""
    tokens = Tokens(*(np.array([value], np.int32) for value in (5, 20_000_000, 100, 3)))
    assert places_of(tokens, 512).tolist() == [20_000_000 * 512 + 100]
