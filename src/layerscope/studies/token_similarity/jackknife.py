"""Jackknife over sentences of the similarity between the dimensions of a token's vectors."""

import numpy as np
import pandas as pd

from layerscope.studies.token_similarity.cosines import (
    BLOCKS,
    deviations,
    directions,
    mean_over_pairs,
    sentences_left_out,
)

AT_A_TIME = 64  # dimensions whose cosines with all others are computed at once, to stay in the processor's cache


def jackknife_layer(vectors: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Statistics of one token's vectors in one layer, for all sentences and for each jackknife resample.

    Args:
        vectors: q, k and v as [sentences, width].
        seed: seed of the shuffling.

    Returns:
        One row for all sentences (``resample`` −1) and one per sentence left out (or group of sentences, if there are
        very many): ``sentences``, how many remain; ``similarity``, the absolute cosine, averaged over pairs of
        dimensions and over blocks; ``shuffled``, the same after shuffling the sentences within each dimension
        independently, which keeps each mean and spread and nothing else; and ``log_variance``, the logarithm of the
        mean over dimensions of the variance over sentences (n − 1), averaged over q, k and v (NaN if nothing varies).
    """
    rng = np.random.default_rng(seed)
    values = {site: array.astype(np.float64) for site, array in vectors.items()}
    # One shuffle is enough: averaged over all pairs of dimensions, its noise is a tenth of the standard error.
    orders = {site: rng.permuted(np.indices(array.shape)[0], axis=0) for site, array in values.items()}
    sentences = len(values["q"])
    rows = []
    for number, left_out in enumerate([np.zeros(sentences, dtype=bool), *sentences_left_out(sentences)], start=-1):
        kept = {site: array[~left_out] for site, array in values.items()}
        shuffled = {site: shuffled_without(array, orders[site], left_out) for site, array in values.items()}
        # Mean over dimensions of the variance over sentences.
        variances = np.array([(deviations(array) ** 2).mean(axis=1).sum() for array in kept.values()])
        variances /= len(kept["q"]) - 1
        rows.append(
            {
                "resample": number,
                "sentences": len(kept["q"]),
                "similarity": mean_absolute(kept),
                "shuffled": mean_absolute(shuffled),
                "log_variance": np.log(np.where(variances > 0, variances, np.nan)).mean(),
            }
        )
    return pd.DataFrame(rows)


def mean_absolute(vectors: dict[str, np.ndarray]) -> float:
    """Mean over the blocks of the mean absolute cosine between dimensions; NaN if a block has none."""
    unit = directions(vectors, centred=False)
    widths = {site: columns.shape[1] for site, columns in unit.items()}
    totals = {block: _sum_of_absolute(unit[block[0]], unit[block[1]]) for block in BLOCKS}
    return float(np.mean([mean_over_pairs(total, block, widths) for block, total in totals.items()]))


def _sum_of_absolute(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sum of the absolute cosines between two sites' unit columns [sentences, width]."""
    starts = range(0, left.shape[1], AT_A_TIME)
    return np.sum([np.abs(left[:, start : start + AT_A_TIME].T @ right).sum() for start in starts])


def shuffled_without(values: np.ndarray, order: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Vectors [sentences, width] shuffled within each dimension, without the sentences ``left_out``.

    The last sentences of the order take their places, so that all others stay paired as before. Otherwise each
    resample would be a new shuffle, and the jackknife would mistake the noise of shuffling for that of sentences.

    Args:
        order: [sentences, width], the sentence at each place.
        left_out: [sentences], bool.
    """
    kept = len(values) - left_out.sum()
    head, tail = (
        order[:kept].T.copy(),
        order[kept:].T,
    )  # a replacement comes from the same dimension
    head[left_out[head]] = tail[~left_out[tail]]
    return np.take_along_axis(values, head.T, axis=0)
