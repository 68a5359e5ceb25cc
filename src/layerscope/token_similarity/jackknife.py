"""How sure the similarity of dimensions is: each sentence left out in turn, on some of the dimensions."""

import numpy as np
import pandas as pd

from layerscope.token_similarity.measure import BLOCKS, block_cosines

DIMENSIONS = 96  # of each of Q, K and V; a mean over their pairs is near that over all
SHUFFLES = 4


def jackknife_layer(vectors: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Similarity of the dimensions of a token's vectors, with all sentences and without each.

    Args:
        vectors: q, k and v as [sentences, width].
        seed: of the dimensions that are taken, and of shuffling.

    Returns:
        ``left_out`` (-1: none), and means over blocks and pairs of dimensions of the absolute cosine: ``similarity``;
        ``shuffled``, after every dimension's sentences were shuffled on their own, which keeps each mean and spread and
        nothing else; and ``centred``, Pearson's r in place of the cosine (NaN where no dimension varies).
    """
    rng = np.random.default_rng(seed)
    chosen = {}
    for site, values in vectors.items():
        columns = rng.permutation(values.shape[1])[:DIMENSIONS]
        chosen[site] = values[:, np.sort(columns)].astype(np.float64)
    shuffled = [{site: rng.permuted(values, axis=0) for site, values in chosen.items()} for _ in range(SHUFFLES)]
    rows = []
    sentences = len(chosen["q"])
    for left_out in range(-1, sentences):
        keep = np.arange(sentences) != left_out
        rows.append(
            {
                "left_out": left_out,
                "similarity": mean_absolute(chosen, keep, centred=False),
                "shuffled": np.mean([mean_absolute(values, keep, centred=False) for values in shuffled]),
                "centred": mean_absolute(chosen, keep, centred=True),
            }
        )
    return pd.DataFrame(rows)


def mean_absolute(vectors: dict[str, np.ndarray], keep: np.ndarray, centred: bool) -> float:
    """Mean over the blocks of the mean absolute cosine between dimensions, of the sentences ``keep`` [sentences]."""
    kept = {site: values[keep] for site, values in vectors.items()}
    means = [np.abs(cosines).mean() for _, cosines in block_cosines(kept, centred) if len(cosines)]
    return float(np.mean(means)) if len(means) == len(BLOCKS) else np.nan
