"""Contexts of the neurons of a layer as the explorer stores them: where they are, and activations in 255 steps."""

from typing import Any

import numpy as np
import pandas as pd

from layerscope.io.tables import rows_of

Arrays = dict[str, np.ndarray]

NONE = 0xFFFFFFFF  # no token, or no place
# Kind → how many of its contexts are shown, in the order in which they are stored.
SHOWN = {"most": 10, "least": 6} | {f"quantile_{percent}": 1 for percent in range(10, 100, 10)} | {"random": 4}
STEPS = 254  # between the codes 1 and 255


def context_arrays(contexts: pd.DataFrame, neurons: int, sequence_length: int) -> Arrays:
    """The contexts of a layer that are shown.

    Args:
        contexts: the layer's table; its ``window`` is activations around a context, NaN outside the sequence.
        neurons: how many the layer has.
        sequence_length: tokens of a sequence.

    Returns:
        ``context_place``, uint32 [neurons, contexts]: sequence × sequence length + position, or ``NONE``;
        ``context_value``, float32: the activation there; ``context_window``, uint8 [neurons, contexts, tokens]: the
        activations around it, of :func:`coded`, between ``window_low`` and ``window_high``, float32 [neurons].
    """
    slots = pd.Series(np.cumsum([0, *SHOWN.values()][:-1]), index=list(SHOWN))
    rank, limit = contexts["rank"].to_numpy(), contexts["kind"].map(SHOWN).fillna(0).to_numpy()
    kept = contexts[rank < limit]
    at = kept["neuron"].to_numpy(), kept["kind"].map(slots).to_numpy(int) + kept["rank"].to_numpy(int)
    shape = neurons, sum(SHOWN.values())
    place, value = np.full(shape, NONE, np.uint32), np.full(shape, np.nan, np.float32)
    place[at] = kept["sequence"].to_numpy(np.int64) * sequence_length + kept["position"].to_numpy(np.int64)
    value[at] = kept["value"]
    windows = rows_of(kept["window"])
    window = np.full((*shape, windows.shape[1]), np.nan, np.float32)
    window[at] = windows
    code, low, high = coded(window)
    arrays = {"context_place": place, "context_value": value, "context_window": code}
    return arrays | {"window_low": low, "window_high": high}


def coded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values in 255 steps of equal width between the smallest and the largest of each neuron.

    Args:
        values: float32 [neurons, contexts, tokens], NaN where there are none.

    Returns:
        Codes, uint8 in the same shape: 0 for NaN, and q for low + (q − 1) / 254 × (high − low), at most half a step
        from the value; low and high, float32 [neurons], NaN for a neuron without values.
    """
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=(1, 2))
    high = np.where(finite, values, -np.inf).max(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (values - low[:, None, None]) / (high - low)[:, None, None]
    code = np.where(finite, 1 + np.rint(STEPS * np.nan_to_num(share)), 0).astype(np.uint8)
    empty = ~finite.any(axis=(1, 2))
    low[empty] = high[empty] = np.nan
    return code, low, high


def shown_contexts() -> list[dict[str, Any]]:
    """Kinds of contexts and their numbers, in the order in which they are stored."""
    return [{"kind": kind, "count": count} for kind, count in SHOWN.items()]
