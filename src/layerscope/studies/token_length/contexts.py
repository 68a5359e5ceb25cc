"""Contexts of each neuron: tokens at which it is most and least active, at quantiles of its activation, at random."""

import numpy as np
import pandas as pd

from layerscope.io.tables import fixed_lists
from layerscope.stats.few_rows import few_rows
from layerscope.summarize.neuron_sums import AFTER, BEFORE
from layerscope.summarize.summary_shards import LayerSummary
from layerscope.summarize.token_sums import places_of
from layerscope.tokenize.token_shards import Tokens

DECILES = tuple(range(10, 100, 10))  # percent
AT_QUANTILE, AT_RANDOM = 2, 8  # contexts of each


class StoredContexts:
    """Contexts among the stored sample, whose activations are given block after block of neurons.

    Args:
        tokens: all of the stored sample.
        keep: [tokens], bool: which take part. Others are in the windows alone.
        sequence_length: of its sequences.
    """

    def __init__(self, tokens: Tokens, keep: np.ndarray, sequence_length: int) -> None:
        self.places, self.ids, self.kept = places_of(tokens, sequence_length), tokens.input_ids, np.flatnonzero(keep)
        ranks = np.arange(len(self.kept))
        middles = np.array(DECILES) / 100 * (len(ranks) - 1)
        nearest = [np.argsort(np.abs(ranks - middle), kind="stable")[:AT_QUANTILE] for middle in middles]
        self.ranks = np.concatenate(nearest)
        drawn = np.argsort(priorities(self.places[self.kept]), kind="stable")[:AT_RANDOM]
        self.random = self.kept[drawn]
        self.kinds = [*np.repeat([f"quantile_{decile}" for decile in DECILES], AT_QUANTILE), *["random"] * len(drawn)]
        at = np.arange(AT_QUANTILE)
        self.of_ranks = np.concatenate([np.tile(at, len(DECILES)), np.arange(len(drawn))])
        around = np.arange(-BEFORE, AFTER + 1)
        position = tokens.position[:, None] + around
        self.outside = (position < 0) | (position >= sequence_length)  # [tokens, WINDOW]
        self.around = np.where(self.outside, 0, np.arange(len(keep))[:, None] + around)
        self.found: list[tuple[np.ndarray, ...]] = []

    def add(self, values: np.ndarray, kept: np.ndarray) -> None:
        """Take the next neurons.

        Args:
            values: [neurons, tokens].
            kept: [neurons, tokens that take part], the same without the others.
        """
        at_rank = np.concatenate([tokens_at_ranks(some, self.ranks) for some in few_rows(kept)])
        token = np.hstack([self.kept[at_rank], np.broadcast_to(self.random, (len(values), len(self.random)))])
        neuron = np.arange(len(values))[:, None]
        windows = half(values[neuron[..., None], self.around[token]])
        windows[self.outside[token]] = np.nan
        self.found.append((self.places[token], self.ids[token], values[neuron, token], windows))

    def joined(self) -> tuple[np.ndarray, ...]:
        """Place, token id and value [neurons, contexts], and window [neurons, contexts, WINDOW]."""
        place, token, value, window = (np.concatenate(arrays) for arrays in zip(*self.found, strict=True))
        return place, token, value, window


def contexts_table(summary: LayerSummary, stored: StoredContexts) -> pd.DataFrame:
    """Contexts of the neurons of a layer: most and least of all tokens, the others of the stored sample.

    Returns:
        One row per neuron and context: ``neuron``, ``kind`` (``most``, ``least``, ``quantile_10`` to ``quantile_90``,
        ``random``), ``rank`` within it from 0, ``sequence``, ``position``, ``token_id``, ``value``, the activation, and
        ``window``, those at the ``BEFORE`` tokens before it, at the token, and at the ``AFTER`` after it, float16; NaN
        outside its sequence.
    """
    kinds, ranks = [], []
    parts: list[tuple[np.ndarray, ...]] = []
    for which in ("most", "least"):
        place, token, value, window = (
            getattr(summary.neurons, f"{which}_{what}") for what in ("place", "token", "value", "window")
        )
        parts.append((place.T, token.T, value.T, window.transpose(2, 0, 1)))
        kinds += [which] * len(place)
        ranks.append(np.arange(len(place)))
    parts.append(stored.joined())
    place, token, value, window = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    neuron, context = np.nonzero(place >= 0)  # fewer tokens than contexts
    sequence, position = np.divmod(place[neuron, context], int(summary.attributes["sequence_length"]))
    return pd.DataFrame(
        {
            "neuron": neuron.astype(np.int32),
            "kind": np.array([*kinds, *stored.kinds], dtype=object)[context],
            "rank": np.concatenate([*ranks, stored.of_ranks]).astype(np.int8)[context],
            "sequence": sequence.astype(np.int32),
            "position": position.astype(np.int32),
            "token_id": token[neuron, context].astype(np.int32),
            "value": value[neuron, context].astype(np.float32),
            "window": fixed_lists(window[neuron, context]),
        }
    )


def tokens_at_ranks(rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Which value of each row has a rank among them, from the smallest up; of equal values the first has the lowest.

    Args:
        rows: [rows, values].
        ranks: [ranks], from 0.

    Returns:
        Indices of values, [rows, ranks].
    """
    ordered = np.sort(rows, axis=1)
    found = np.empty((len(rows), len(ranks)), dtype=np.intp)
    for i, rank in enumerate(ranks):
        value = ordered[:, rank]
        found[:, i] = (rows == value[:, None]).argmax(axis=1)
        for row in np.flatnonzero(ordered[:, rank - 1] == value) if rank else ():
            equal = np.flatnonzero(rows[row] == value[row])
            found[row, i] = equal[rank - np.searchsorted(ordered[row], value[row])]
    return found


def half(values: np.ndarray) -> np.ndarray:
    """As float16; beyond its range, its largest number or its smallest."""
    limit = np.finfo(np.float16).max
    return np.clip(values, -limit, limit).astype(np.float16)


def priorities(places: np.ndarray) -> np.ndarray:
    """A fixed pseudo-random number of each place, uint64: SplitMix64 (Steele, Lea and Flood 2014, OOPSLA).

    The tokens of lowest priority are a random sample of any part of the text, and of all parts together.
    """
    with np.errstate(over="ignore"):
        x = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
