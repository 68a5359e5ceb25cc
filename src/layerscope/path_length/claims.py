"""Claims of the study, their statistics and rules."""

from math import inf

import numpy as np
import pandas as pd

from layerscope.claims import Claim, Draws, judge
from layerscope.depth import relative_depth

STUDY = "path_length"


def late_over_early(lengths: np.ndarray) -> np.ndarray:
    """Longest of the last quarter of the layers over the longest before: [layers, draws] to [draws]."""
    late = np.array([relative_depth(layer, len(lengths)) > 0.75 for layer in range(len(lengths))])
    if late.all() or not late.any():
        return np.full(lengths.shape[1], np.nan)
    return lengths[late].max(axis=0) / lengths[~late].max(axis=0)


def median_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Median over layers of ``one`` less ``other``, without layer 0, before which there is no path."""
    if len(one) < 2:
        return np.full(one.shape[1], np.nan)
    return np.median(one[1:] - other[1:], axis=0)


CLAIMS: list[Claim[Draws]] = [
    Claim(
        "last_layers_largest_step",
        "The last layers take the largest step.",
        "longest mean path of the residual stream in the last quarter of the layers over the longest before",
        1, inf, lambda draws: draws.estimate(late_over_early, "length_resid"),
        of_training=False,  # a stream that grows by adding takes larger steps, whatever its weights
    ),
    Claim(
        "mlp_follows_more",
        "The MLP follows the path of the residual stream more than attention does.",
        "median over layers of the difference of their r with the residual stream's path length",
        0, inf, lambda draws: draws.estimate(median_difference, "r_mlp", "r_attn"),
    ),
    Claim(
        "first_token_breaks_pearson",
        "The first token of each sequence breaks Pearson's r.",
        "median over layers of the MLP's r without the first token less that with it",
        0.2, inf, lambda draws: draws.estimate(median_difference, "r_mlp", "r_mlp_all"),
    ),
    Claim(
        "attn_mlp_near_orthogonal",
        "The outputs of attention and MLP are nearly orthogonal.",
        "mean over layers of the absolute mean cosine between the two",
        -inf, 0.1, lambda draws: draws.estimate(lambda cosine: np.abs(cosine).mean(axis=0), "cosine"),
        of_training=False,
    ),
]  # fmt: skip


def claims_table(tables: dict[str, pd.DataFrame], controls: list[str]) -> pd.DataFrame:
    """The study's rows of claims.csv.

    Args:
        tables: model → its table of :func:`layerscope.path_length.uncertainty.resample_paths`.
        controls: models with random weights.
    """
    rows = []
    for model, table in tables.items():
        rows += judge(CLAIMS, STUDY, model, model in controls, Draws(table))
    return pd.DataFrame(rows)
