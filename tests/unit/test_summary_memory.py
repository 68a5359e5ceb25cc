"""Memory: of a reducer while it receives batches, and of the summaries of shards while they are merged."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from texts import TYPES, activations, filled, reduced, reducer_of_text, text_of

from layerscope.summarize.neuron_sums import CONTEXTS
from layerscope.summarize.summary_shards import read_layer_summary, write_summary


def bytes_held(thing: object, seen: set[int]) -> int:
    """Bytes of all arrays and tensors within an object."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, torch.Tensor):
        return thing.nbytes
    if isinstance(thing, dict):
        return sum(bytes_held(value, seen) for value in thing.values())
    if isinstance(thing, list | tuple):
        return sum(bytes_held(value, seen) for value in thing)
    return sum(bytes_held(value, seen) for value in vars(thing).values()) if hasattr(thing, "__dict__") else 0


def test_memory_does_not_grow_with_the_number_of_batches() -> None:
    """What is held of layers after 2 and after 20 batches of the same text."""
    text = text_of(0, 20, 32)
    neurons = 50
    rng = np.random.default_rng(0)
    held = {}
    for batches in (2, 20):
        reducer = filled(text, activations(text, neurons).astype(np.float32), 1)
        for _ in range(1, batches):
            values = rng.normal(size=(20 * 32, neurons)).astype(np.float32)
            for start in range(20):
                part = torch.from_numpy(values[start * 32 : start * 32 + 32]).unflatten(0, (1, 32))
                reducer.receive("mlp_pre", 0, part, slice(start, start + 1))
        held[batches] = bytes_held(reducer.layers, set())
    assert held[20] == held[2]


def test_what_waits_to_be_merged_is_bounded_and_kept() -> None:
    """Even where every activation is larger than all before it."""
    text, neurons = text_of(0, 20, 32), 40
    reducer = reducer_of_text(text, TYPES, neurons)
    values = torch.arange(20 * 32.0)[:, None] * torch.linspace(1, 2, neurons)
    for start in range(20):
        part = values[start * 32 : start * 32 + 32].unflatten(0, (1, 32))
        reducer.receive("mlp_pre", 0, part, slice(start, start + 1))
        assert reducer.layers[0].most.waits <= CONTEXTS * neurons
    largest = np.sort(values.numpy()[reducer.takes_part], axis=0)[: -CONTEXTS - 1 : -1]
    _, layers = reducer.finish()
    assert np.array_equal(layers[0].most_value, largest)


def test_values_equal_to_those_kept_do_not_wait() -> None:
    text, neurons = text_of(0, 20, 32), 5
    reducer = filled(text, np.full((20 * 32, neurons), 0.5, np.float32), 1, layers=1)
    assert reducer.layers[0].most.waits == reducer.layers[0].least.waits == 0


def test_reducers_do_not_change_what_they_receive() -> None:
    text = text_of(0, 20, 32)
    for dtype in (np.float32, np.float64):
        values = activations(text, 5).astype(dtype)
        before = values.copy()
        filled(text, values, 3)
        assert np.array_equal(values, before)


def test_shards_are_merged_one_at_a_time(tmp_path: Path) -> None:
    """Nine more take less than one does: only extremes, random values and products of clusters are kept of each."""
    text = text_of(0, 40, 128, types=2500)
    paths = [str(tmp_path / f"shard_{number}.h5") for number in range(12)]
    tokens, neurons = reduced(text, activations(text, 40).astype(np.float32), token_types=2500)
    write_summary(paths[0], "mlp_pre", tokens, {3: neurons}, {})
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    held = {}
    for shards in (1, 3, 12):  # whatever is imported or cached is with the first
        tracemalloc.start()
        read_layer_summary(paths[:shards], 3)
        held[shards] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    of_classes = tokens.class_products.nbytes + neurons.class_sums.nbytes  # most of a shard
    assert held[12] - held[3] < of_classes
