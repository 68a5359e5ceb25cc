"""The token types at which each neuron is most and least active on average."""

import numpy as np
import pandas as pd

from layerscope.summarize.summary_shards import LayerSummary

TYPES_KEPT = 10  # of either kind, for each neuron
LEAST = 5  # tokens of a type
NEURONS_AT_ONCE = 256


def token_types_table(summary: LayerSummary, types: int) -> pd.DataFrame:
    """Types with the largest and smallest mean activation, among those with a class of their own.

    Of types that occur ``LEAST`` times; or fewer, the most that leave 2 × ``TYPES_KEPT`` types; else of all.

    Args:
        types: in the vocabulary.

    Returns:
        One row per neuron, kind and rank: ``neuron``, ``kind`` (``top``, ``bottom``), ``rank`` from 0, ``token_id``,
        ``tokens`` of that type, and ``mean``. Of equal means, the lower token id is first.
    """
    tokens, neurons = summary.tokens, summary.neurons
    own = np.flatnonzero(tokens.classes < types)
    counts = tokens.class_counts[own]
    least = next((n for n in range(LEAST, 0, -1) if np.count_nonzero(counts >= n) >= 2 * TYPES_KEPT), 1)
    common = own[counts >= least]
    ids, counts = tokens.classes[common], tokens.class_counts[common]
    shown, found = min(TYPES_KEPT, len(common)), []
    for start in range(0, len(neurons.pilot) if shown else 0, NEURONS_AT_ONCE):
        block = slice(start, start + NEURONS_AT_ONCE)
        # Of the numbers in the table, so that none of them is greater than one before it.
        means = (neurons.pilot[block, None] + neurons.class_sums[common, block].T / counts).astype(np.float32)
        ordered = np.sort(means, axis=1)
        for kind, sign, bound in (("top", 1, ordered[:, -shown]), ("bottom", -1, ordered[:, shown - 1])):
            neuron, of_type = _largest(sign * means, sign * bound, shown)
            of_block = {"neuron": (start + neuron).astype(np.int32), "kind": kind}
            of_block["rank"] = np.tile(np.arange(shown, dtype=np.int8), len(means))
            of_block |= {"token_id": ids[of_type], "tokens": counts[of_type].astype(np.int64)}
            found.append(pd.DataFrame(of_block | {"mean": means[neuron, of_type]}))
    if not found:
        columns = {"neuron": "int32", "kind": "str", "rank": "int8", "token_id": "int32", "tokens": "int64"}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in (columns | {"mean": "float32"}).items()})
    return pd.concat(found).sort_values("neuron", kind="stable", ignore_index=True)


def _largest(values: np.ndarray, bound: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the ``count`` largest of each row, from the largest down; of equal ones the first.

    Args:
        values: [rows, columns].
        bound: [rows], the smallest of the largest.
    """
    row, column = np.nonzero(values >= bound[:, None])
    order = np.lexsort((-values[row, column], row))  # stable
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    return row[rank < count], column[rank < count]
