"""Contexts of each neuron: tokens at which it is most and least active, at quantiles of its activation, at random."""

import numpy as np
import pandas as pd

from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summary_shards import LayerSummary
from layerscope.summarize.token_sums import TokenSums, priorities

DECILES = tuple(range(10, 100, 10))  # percent
AT_QUANTILE, AT_RANDOM = 2, 8  # contexts of each


def contexts_table(summary: LayerSummary) -> pd.DataFrame:
    """Contexts of the neurons of a layer.

    Quantiles are those of the summary's random tokens, and contexts at them and at random are some of these.

    Returns:
        One row per neuron and context: ``neuron``, ``kind`` (``most``, ``least``, ``quantile_10`` to ``quantile_90``,
        ``random``), ``rank`` within it from 0, ``sequence``, ``position``, ``token_id``, and ``value``, the activation.
    """
    tokens, neurons = summary.tokens, summary.neurons
    tables = [
        _table(name, *(getattr(neurons, f"{name}_{what}") for what in ("place", "token", "value")))
        for name in ("most", "least")
    ]
    ranks = np.argsort(neurons.random_value, axis=0, kind="stable")  # [random tokens, neurons]
    for decile in DECILES:
        middle = decile / 100 * (len(ranks) - 1)
        nearest = np.argsort(np.abs(np.arange(len(ranks)) - middle), kind="stable")[:AT_QUANTILE]
        tables.append(_at_random(f"quantile_{decile}", tokens, neurons, ranks[nearest]))
    drawn = np.argsort(priorities(tokens.random_place), kind="stable")[:AT_RANDOM]
    tables.append(_at_random("random", tokens, neurons, np.repeat(drawn[:, None], ranks.shape[1], axis=1)))
    table = pd.concat(tables, ignore_index=True)
    place, length = table.pop("place"), int(summary.attributes["sequence_length"])
    table.insert(3, "sequence", (place // length).astype(np.int32))
    table.insert(4, "position", (place % length).astype(np.int32))
    return table.sort_values("neuron", kind="stable", ignore_index=True)


def _at_random(kind: str, tokens: TokenSums, neurons: NeuronSums, at: np.ndarray) -> pd.DataFrame:
    """Contexts that are the random tokens ``at`` [contexts, neurons]."""
    values = np.take_along_axis(neurons.random_value, at, axis=0)
    return _table(kind, tokens.random_place[at], tokens.random_token[at], values)


def _table(kind: str, place: np.ndarray, token: np.ndarray, value: np.ndarray) -> pd.DataFrame:
    contexts, neurons = place.shape
    table = pd.DataFrame(
        {
            "neuron": np.tile(np.arange(neurons, dtype=np.int32), contexts),
            "kind": kind,
            "rank": np.repeat(np.arange(contexts, dtype=np.int8), neurons),
            "place": place.ravel(),
            "token_id": token.ravel().astype(np.int32),
            "value": value.ravel().astype(np.float32),
        }
    )
    return table[table["place"] >= 0]
