"""Similarity of the dimensions of Q, K and V over sentences, in one layer.

Stack Q, K and V of a token over the sentences: a [sentences, dq + dk + dv] matrix. The cosine similarity between its
columns has the blocks QQ, KK, VV, QK, QV and KV. Each block is made and summed up on its own, so that the whole matrix
(4800 x 4800 in GPT-2 XL) is never held.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

BLOCKS = ("qq", "kk", "vv", "qk", "qv", "kv")
EDGES = np.linspace(-1, 1, 101)


def unit_columns(vectors: np.ndarray, centred: bool) -> np.ndarray:
    """Columns of [sentences, width] scaled to length one, in float64; NaN for a column that is zero.

    Args:
        centred: subtract each column's mean over sentences first, so that the cosine is Pearson's r.
    """
    vectors = vectors.astype(np.float64)
    if centred:
        constant = (vectors == vectors[:1]).all(axis=0)
        vectors = np.where(constant, 0.0, vectors - vectors.mean(axis=0))
    with np.errstate(invalid="ignore"):
        return vectors / np.linalg.norm(vectors, axis=0)


def block_cosines(vectors: dict[str, np.ndarray], centred: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Each block's cosines as a flat array: pairs of different dimensions once, zero columns left out.

    Args:
        vectors: q, k and v as [sentences, width].
    """
    unit = {site: unit_columns(values, centred) for site, values in vectors.items()}
    unit = {site: columns[:, ~np.isnan(columns).any(axis=0)] for site, columns in unit.items()}
    for block in BLOCKS:
        left, right = block[0], block[1]
        cosines = np.clip(unit[left].T @ unit[right], -1, 1)
        yield block, cosines[np.triu_indices(len(cosines), 1)] if left == right else cosines.ravel()


def measure_layer(
    vectors: dict[str, dict[str, np.ndarray]], pieces: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Measure one layer.

    Args:
        vectors: token → site → [sentences, width], as :func:`layerscope.token_similarity.vectors.read_vectors` gives.
        pieces: into how many tokens the target is split, at most.

    Returns:
        Three tables. Of blocks, a row a token and block: ``token``, ``block``, ``sentences``, ``target_pieces``,
        ``cosine_mean``, ``cosine_abs_mean``, ``cosine_std`` and the same of centred vectors (``centred_…``; NaN where
        no dimension varies), and ``null_std`` and ``centred_null_std``, what independent values would give. Of
        dimensions, a row a token, site and dimension: ``mean`` and ``variance`` (n - 1) over sentences. Of bins, a row
        a token, block, centring and bin: ``left``, ``right``, ``count``.
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
                # The cosine of independent directions in n dimensions has the standard deviation 1/sqrt(n).
                "null_std": sentences**-0.5,
                "centred_null_std": (sentences - 1) ** -0.5,
            }
            for block in BLOCKS
        }
        for centred, prefix in ((False, "cosine"), (True, "centred")):
            for block, cosines in block_cosines(of_token, centred):
                # None are left where nothing varies: a fixed token in the first layer of a model with rotary positions.
                some = len(cosines) > 0
                rows[block] |= {
                    f"{prefix}_mean": cosines.mean() if some else np.nan,
                    f"{prefix}_abs_mean": np.abs(cosines).mean() if some else np.nan,
                    f"{prefix}_std": cosines.std() if some else np.nan,
                }
                histogram = {"token": token, "block": block, "centred": centred, "left": EDGES[:-1]}
                histogram |= {"right": EDGES[1:], "count": np.histogram(cosines, EDGES)[0]}
                bins.append(pd.DataFrame(histogram))
        blocks += rows.values()
        for site, values in of_token.items():
            exact = values.astype(np.float64)
            table = {"token": token, "site": site, "dimension": np.arange(exact.shape[1], dtype=np.int32)}
            dimensions.append(pd.DataFrame(table | {"mean": exact.mean(axis=0), "variance": exact.var(axis=0, ddof=1)}))
    return pd.DataFrame(blocks), pd.concat(dimensions, ignore_index=True), pd.concat(bins, ignore_index=True)
