"""However a text is divided into shards and batches, the merged summary is that of the whole text."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from summary_loop import COUNTS, KEPT, MERGED, Loop, ordered, same_bits, same_values
from texts import activations, reduced, summary_of, text_of

from layerscope.summarize.neuron_sums import NeuronSums, shifted
from layerscope.summarize.token_sums import TokenSums

MERGE_TEXT = text_of(16, 10, 48, longest=60)
MERGE_VALUES = activations(MERGE_TEXT, 4, mean=5.0)
MERGE_VALUES[:, 3] = np.round(MERGE_VALUES[:, 3])  # ties
WHOLE = summary_of(MERGE_TEXT, MERGE_VALUES)
WHOLE_LOOP = Loop(MERGE_TEXT, MERGE_VALUES, WHOLE.neurons.pilot)
SPLITS = st.sets(st.integers(1, 9)), st.lists(st.integers(1, 10), max_size=10)


def check_equals_whole(tokens: TokenSums, neurons: NeuronSums) -> None:
    """Kept values and counts of the merged summary are those of the whole text, bit for bit."""
    for of, expected, names in ((tokens, WHOLE.tokens, COUNTS), (neurons, WHOLE.neurons, KEPT)):
        for name in names:
            a, b = getattr(of, name), getattr(expected, name)
            assert a.dtype == b.dtype and same_values(a, b), name


@settings(max_examples=40, deadline=None)
@given(*SPLITS)
def test_any_shards_and_any_batches_give_the_same_summary(cuts: set[int], batches: list[int]) -> None:
    found = summary_of(MERGE_TEXT, MERGE_VALUES, cuts=cuts, batches=batches)
    check_equals_whole(found.tokens, found.neurons)
    moved = found.neurons.pilot - WHOLE.neurons.pilot
    ones = found.tokens.cluster_products[:, 0]
    sums = np.stack([shifted(*of, moved) for of in zip(found.neurons.cluster_sums, ones, strict=True)])
    np.testing.assert_allclose(found.tokens.cluster_products, WHOLE.tokens.cluster_products, rtol=MERGED, atol=1e-11)
    np.testing.assert_allclose(found.tokens.class_products, WHOLE.tokens.class_products, rtol=MERGED, atol=1e-11)
    _, sizes = ordered(WHOLE_LOOP.cluster_sizes)
    assert (abs(sums - WHOLE.neurons.cluster_sums) <= MERGED * sizes).all()
    classes = found.neurons.class_sums + found.tokens.class_counts[:, None] * moved
    _, sizes = ordered(WHOLE_LOOP.class_sizes)
    assert (abs(classes - WHOLE.neurons.class_sums) <= MERGED * sizes).all()


def test_the_whole_text_equals_a_loop() -> None:
    WHOLE_LOOP.check(WHOLE.tokens, WHOLE.neurons)


@settings(max_examples=15, deadline=None)
@given(*SPLITS)
def test_merging_in_order_gives_the_same_bits(cuts: set[int], batches: list[int]) -> None:
    one, other = (summary_of(MERGE_TEXT, MERGE_VALUES, 9, cuts, batches) for _ in range(2))
    assert same_bits(one.tokens, other.tokens) and same_bits(one.neurons, other.neurons)


def shards_of(cuts: Sequence[int]) -> tuple[list[TokenSums], list[NeuronSums]]:
    edges = [0, *cuts, MERGE_TEXT.sequences]
    shards = [
        reduced(MERGE_TEXT.part(start, stop), MERGE_VALUES[start * 48 : stop * 48]) for start, stop in pairwise(edges)
    ]
    return [tokens for tokens, _ in shards], [neurons for _, neurons in shards]


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 9), min_size=2, max_size=6), st.data())
def test_merging_is_associative(cuts: set[int], data: st.DataObject) -> None:
    tokens, neurons = shards_of(sorted(cuts))
    start = data.draw(st.integers(0, len(tokens) - 2))
    stop = data.draw(st.integers(start + 1, len(tokens)))
    some = TokenSums.merge(tokens[start:stop])
    between = NeuronSums.merge(tokens[start:stop], neurons[start:stop], some)
    nested = [*tokens[:start], some, *tokens[stop:]]
    merged = TokenSums.merge(nested)
    found = NeuronSums.merge(nested, [*neurons[:start], between, *neurons[stop:]], merged)
    check_equals_whole(merged, found)
    Loop(MERGE_TEXT, MERGE_VALUES, found.pilot).check(merged, found, MERGED)


def test_sums_of_a_block_of_neurons_are_those_of_the_whole() -> None:
    tokens, neurons = shards_of([3, 4])
    merged = TokenSums.merge(tokens)
    whole = NeuronSums.merge(tokens, neurons, merged)
    for start, stop in ((0, 4), (1, 3), (3, 4)):
        of_blocks = NeuronSums.merge(tokens, [part.block(start, stop) for part in neurons], merged)
        assert same_bits(of_blocks, whole.block(start, stop))


def test_growing_adds_to_what_there_was() -> None:
    """The first shards of a longer sample are those of the shorter one, bit for bit."""
    few, many = shards_of([2, 4]), shards_of([2, 4, 7])
    for parts in zip(few, many, strict=True):
        assert all(same_bits(one, other) for one, other in zip(parts[0][:2], parts[1][:2], strict=True))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-50, 50), st.integers(1, 4))
def test_shifted_sums_are_direct_sums_about_the_other_pilot(seed: int, moved: float, covariates: int) -> None:
    rng = np.random.default_rng(seed)
    x, z = rng.standard_t(3, (40, 2)), np.column_stack([np.ones(40), rng.normal(size=(40, covariates))])
    by = np.array([moved, -moved / 3])

    def sums(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        terms = [*(weights[:, [i]] * values for i in range(weights.shape[1])), values**2, values**3, values**4]
        return np.stack([term.sum(axis=0) for term in terms])

    found = shifted(sums(x, z), z.sum(axis=0), by)
    # What cancels are terms of the size of the distance.
    assert (abs(found - sums(x + by, z)) <= 1e-13 * sums(abs(x) + abs(by), abs(z))).all()
