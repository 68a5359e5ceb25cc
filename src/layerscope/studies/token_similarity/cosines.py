"""Cosine similarity between the dimensions of Q, K and V over sentences, in one layer.

Stack Q, K and V of a token over the sentences: a [sentences, dq + dk + dv] matrix. The cosine similarities between its
columns form the blocks QQ, KK, VV, QK, QV and KV. Each block is computed and summarized on its own, so that the whole
matrix (4800 × 4800 in GPT-2 XL) is never in memory.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from layerscope.stats.jackknife import coarser
from layerscope.stats.jackknife_interval import half_width

BLOCKS = ("qq", "kk", "vv", "qk", "qv", "kv")
EDGES = np.linspace(-1, 1, 101)


def unit_columns(vectors: np.ndarray, centred: bool) -> np.ndarray:
    """Columns of [sentences, width] scaled to unit length, in float64; NaN for a zero column.

    Args:
        centred: subtract each column's mean over sentences first, which makes the cosine Pearson's r.
    """
    vectors = deviations(vectors) if centred else vectors.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return vectors / np.linalg.norm(vectors, axis=0)


def deviations(vectors: np.ndarray) -> np.ndarray:
    """Columns of [sentences, width] minus their means, in float64; exactly 0 for a constant column."""
    vectors = vectors.astype(np.float64)
    return np.where((vectors == vectors[:1]).all(axis=0), 0.0, vectors - vectors.mean(axis=0))


def directions(vectors: dict[str, np.ndarray], centred: bool) -> dict[str, np.ndarray]:
    """:func:`unit_columns` of q, k and v, without zero columns."""
    unit = {site: unit_columns(values, centred) for site, values in vectors.items()}
    return {site: columns[:, ~np.isnan(columns).any(axis=0)] for site, columns in unit.items()}


def block_cosines(vectors: dict[str, np.ndarray], centred: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Each block's cosines as a flat array: each pair of different dimensions once, without zero columns.

    Args:
        vectors: q, k and v as [sentences, width].
    """
    unit = directions(vectors, centred)
    for block in BLOCKS:
        left, right = block[0], block[1]
        cosines = np.clip(unit[left].T @ unit[right], -1, 1)
        yield block, cosines[np.triu_indices(len(cosines), 1)] if left == right else cosines.ravel()


def sentences_left_out(sentences: int) -> np.ndarray:
    """Which sentences each jackknife resample leaves out, [resamples, sentences], bool: one, or a group of many."""
    groups = coarser(np.arange(sentences))
    return groups == np.unique(groups)[:, None]


def half_widths(vectors: dict[str, np.ndarray], centred: bool) -> dict[str, dict[str, float]]:
    """Half-widths of the 95% intervals of :func:`cosine_moments` over sentences, from the jackknife and Student's t.

    Args:
        vectors: q, k and v as [sentences, width].
    """
    resamples = [
        cosine_moments({site: values[~left_out] for site, values in vectors.items()}, centred)
        for left_out in sentences_left_out(len(vectors["q"]))
    ]
    widths = half_width(np.stack(resamples, axis=-1), len(resamples) - 1)
    return {block: {"mean": mean, "std": std} for block, (mean, std) in zip(BLOCKS, widths, strict=True)}


def cosine_moments(vectors: dict[str, np.ndarray], centred: bool) -> np.ndarray:
    """Mean and standard deviation of each block's cosines, [blocks, 2], without computing them; NaN if there are none.

    For unit columns U and W of two sites, the sum of the cosines UᵀW is the dot product of the sums of their columns.

    Args:
        vectors: q, k and v as [sentences, width].
    """
    unit = directions(vectors, centred)
    widths = {site: columns.shape[1] for site, columns in unit.items()}
    sums = {site: columns.sum(axis=1) for site, columns in unit.items()}
    moments = []
    for block in BLOCKS:
        left, right = block[0], block[1]
        totals = np.array([sums[left] @ sums[right], sum_of_squares(unit[left], unit[right])])
        mean, square = mean_over_pairs(totals, block, widths)
        moments.append((mean, np.sqrt(np.maximum(square - mean**2, 0))))
    return np.array(moments)


def sum_of_squares(left: np.ndarray, right: np.ndarray) -> float:
    """Sum of the squared entries of UᵀW; computed as the sum of the entries of UUᵀ ∘ WWᵀ if that is smaller."""
    if len(left) < min(left.shape[1], right.shape[1]):
        return float(((left @ left.T) * (right @ right.T)).sum())
    return float(((left.T @ right) ** 2).sum())


def mean_over_pairs(totals: np.ndarray, block: str, widths: dict[str, int]) -> np.ndarray:
    """Means over a block's pairs of dimensions; NaN if it has none.

    Args:
        totals: sums over the entries of UᵀW of functions that are 1 for a dimension with itself.
        widths: number of dimensions of each site.
    """
    left, right = widths[block[0]], widths[block[1]]
    if block[0] == block[1]:  # UᵀU has each pair twice, and each dimension with itself
        totals, right = totals - left, right - 1
    return totals / (left * right) if left * right else np.full(totals.shape, np.nan)


def cosine_tables(
    vectors: dict[str, dict[str, np.ndarray]], pieces: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tables of the cosines of one layer.

    Args:
        vectors: token → site → [sentences, width], from :func:`token_similarity.vectors.read_vectors`.
        pieces: the largest number of tokens that the target is split into.

    Returns:
        Three tables.

        - Blocks, one row per token and block: ``token``, ``block``, ``sentences``, ``target_pieces``, ``cosine_mean``,
          ``cosine_abs_mean``, ``cosine_std``; the ends of the 95% intervals over sentences of mean and std
          (``cosine_mean_low``, …); the same for centred vectors (``centred_…``; NaN if no dimension varies); and
          ``null_std`` and ``centred_null_std``, the std of independent values.
        - Dimensions, one row per token, site and dimension: ``mean`` and ``variance`` (n − 1) over sentences.
        - Bins, one row per token, block, centring and bin: ``left``, ``right``, ``count``.
    """
    blocks: list[dict[str, object]] = []
    dimensions, bins = [], []
    for token, of_token in vectors.items():
        sentences = len(of_token["q"])
        rows: dict[str, dict[str, object]] = {
            block: {
                "token": token,
                "block": block,
                "sentences": sentences,
                "target_pieces": pieces,
                # The cosine of independent directions in n dimensions has the standard deviation 1/√n.
                "null_std": sentences**-0.5,
                "centred_null_std": (sentences - 1) ** -0.5,
            }
            for block in BLOCKS
        }
        for centred, prefix in ((False, "cosine"), (True, "centred")):
            widths = half_widths(of_token, centred)
            for block, cosines in block_cosines(of_token, centred):
                # There are none if nothing varies: a fixed token in the first layer of a model with rotary positions.
                some = len(cosines) > 0
                moments = {
                    "mean": cosines.mean() if some else np.nan,
                    "abs_mean": np.abs(cosines).mean() if some else np.nan,
                    "std": cosines.std() if some else np.nan,
                }
                rows[block] |= {f"{prefix}_{what}": value for what, value in moments.items()}
                for what, width in widths[block].items():
                    rows[block] |= {f"{prefix}_{what}_low": moments[what] - width}
                    rows[block] |= {f"{prefix}_{what}_high": moments[what] + width}
                histogram = {"token": token, "block": block, "centred": centred, "left": EDGES[:-1]}
                histogram |= {"right": EDGES[1:], "count": np.histogram(cosines, EDGES)[0]}
                bins.append(pd.DataFrame(histogram))
        blocks += rows.values()
        for site, values in of_token.items():
            exact = values.astype(np.float64)
            table = {"token": token, "site": site, "dimension": np.arange(exact.shape[1], dtype=np.int32)}
            dimensions.append(pd.DataFrame(table | {"mean": exact.mean(axis=0), "variance": exact.var(axis=0, ddof=1)}))
    return pd.DataFrame(blocks), pd.concat(dimensions, ignore_index=True), pd.concat(bins, ignore_index=True)
