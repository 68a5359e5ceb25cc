"""Claims of the study, their statistics and criteria.

resid_post = resid_pre + attn_out + mlp_out, so the squared path length of the residual stream is the sum of both
squared steps plus twice their dot product. By this identity alone, whatever the weights, it follows the step that
varies more over tokens, often the larger one. And a random initialization may have its longest path, or its larger
step, in any layer. So a claim is about training only if no initialization produces it.
"""

from dataclasses import replace
from math import inf

import numpy as np
import pandas as pd

from layerscope.stats.claims import UNKNOWN, Claim, Estimate, Resamples, evaluate
from layerscope.stats.intervals import ALPHA
from layerscope.stats.relative_depth import relative_depths

STUDY = "path_length"
STREAMS = {"resid": "the residual stream", "attn": "the attention output", "mlp": "the MLP output"}


def late_over_early(lengths: np.ndarray) -> np.ndarray:
    """Ratio of the longest path in the last quarter of the layers to the longest before it.

    A layer without a path, such as layer 0 of attention and MLP, is ignored.

    Args:
        lengths: [layers, resamples].

    Returns:
        [resamples].
    """
    late = relative_depths(len(lengths)) > 0.75
    known = ~np.isnan(lengths).all(axis=1)
    if not (known & late).any() or not (known & ~late).any():
        return np.full(lengths.shape[1], np.nan)
    return lengths[known & late].max(axis=0) / lengths[known & ~late].max(axis=0)


def mean_ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Geometric mean over layers of ``one / other``: [layers, resamples] each, to [resamples]."""
    with np.errstate(divide="ignore", invalid="ignore"):  # the ratio to a stream that adds nothing is undefined
        return np.exp(np.log(one / other).mean(axis=0))


def mean_of_paths(r: np.ndarray) -> np.ndarray:
    """Mean over layers except layer 0, where attention and MLP have no path: [layers, resamples] to [resamples]."""
    return r[1:].mean(axis=0) if len(r) > 1 else np.full(r.shape[1], np.nan)


def reversal(without: np.ndarray, with_first: np.ndarray) -> np.ndarray:
    """The smaller of two distances: of r without the first token above zero, and of r with it below zero."""
    return np.minimum(mean_of_paths(without), -mean_of_paths(with_first))


def absolute(estimate: Estimate) -> Estimate:
    """The absolute value of an effect; its interval begins at zero if that of the effect contains zero."""
    low, high = estimate.low, estimate.high
    return replace(
        estimate, effect=abs(estimate.effect), low=float(np.max([0, low, -high])), high=float(np.max([-low, high]))
    )


def share_followed(resamples: Resamples) -> Estimate:
    """Share of layers in which the MLP's r is larger than attention's.

    A share of a few layers changes in steps, which a jackknife misses. So its bounds are the shares of layers whose
    difference has a known sign: in 95% of samples, the simultaneous intervals (Bonferroni) contain the differences of
    all layers.
    """
    of = ("r_mlp", "r_attn")
    difference, jackknife = (
        mlp[1:] - attn[1:] for mlp, attn in (resamples.of("observed", *of), resamples.of("jackknife", *of))
    )
    difference = difference[:, 0]
    if not len(difference):
        return UNKNOWN
    half_width = resamples.half_width(jackknife, *of, level=ALPHA / len(difference))
    if np.isnan(difference + half_width).any():
        return UNKNOWN
    low, high = np.mean(difference > half_width), 1 - np.mean(difference < -half_width)
    return Estimate(float(np.mean(difference > 0)), float(low), float(high), clusters=resamples.fewest(*of))


def last_layers_largest(name: str, stream: str) -> Claim[Resamples]:
    return Claim(
        f"last_layers_largest_step_{name}",
        f"{stream[0].upper()}{stream[1:]} moves furthest in the last layers.",
        "The path lengths of all three streams jump in the last blocks.",
        f"longest mean path length of {stream} in the last quarter of the layers, divided by the longest before",
        1, inf, lambda resamples: resamples.estimate(late_over_early, f"length_{name}"),
        of_training=False,
    )  # fmt: skip


CLAIMS: list[Claim[Resamples]] = [
    *(last_layers_largest(name, stream) for name, stream in STREAMS.items()),
    Claim(
        "mlp_step_larger",
        "The MLP adds more to the residual stream than attention does.",
        "Does not compare steps; larger MLP steps would explain why the residual stream's path follows the MLP's.",
        "mean step of the MLP divided by that of attention, geometric mean over layers",
        1, inf, lambda resamples: resamples.estimate(mean_ratio, "step_mlp", "step_attn"),
        of_training=False,
    ),
    Claim(
        "mlp_follows_more",
        "In most layers the path of the residual stream follows the MLP's more closely than attention's. In part this "
        "is an identity: the stream moves by the sum of both outputs, so it follows the step that varies more, often "
        "the larger one.",
        "In most layers the MLP's path length correlates more with the residual stream's than attention's does.",
        "share of layers, except layer 0, in which r with the residual stream's path length is larger for the MLP",
        0.5, inf, share_followed,
        of_training=False,
    ),
    Claim(
        "first_token_reverses_sign",
        "Including the first token of each sequence turns the MLP's r from positive to negative.",
        "The first token turns Pearson's r from about 0.6 into −0.2.",
        "the smaller of two means over layers: r of the MLP and the residual stream without the first token, and −r "
        "with it",
        0, inf, lambda resamples: resamples.estimate(reversal, "r_mlp", "r_mlp_all"),
    ),
    Claim(
        "spearman_steady",
        "Spearman's r of the MLP hardly changes when the first token is included.",
        "Spearman's r, or excluding the first token, repairs what that token does to Pearson's r.",
        "absolute value of the mean over layers of Spearman's r of the MLP and the residual stream without the first "
        "token minus that with it",
        -inf, 0.1,
        lambda resamples: absolute(resamples.estimate(lambda *r: mean_of_paths(r[0] - r[1]), "rho_mlp", "rho_mlp_all")),
        of_training=False,
    ),
    Claim(
        "attn_mlp_near_orthogonal",
        "The outputs of attention and MLP are nearly orthogonal.",
        "The outputs of attention and MLP are nearly orthogonal.",
        "absolute value of the mean cosine between the two over tokens, averaged over layers",
        -inf, 0.1, lambda resamples: resamples.estimate(lambda cosine: np.abs(cosine).mean(axis=0), "cosine"),
        of_training=False,
    ),
]  # fmt: skip


def claims_table(tables: dict[str, pd.DataFrame], untrained: list[str]) -> pd.DataFrame:
    """The study's rows of claims.csv.

    Args:
        tables: model → its table of :func:`path_length.jackknife.jackknife_paths`.
        untrained: models with random weights.
    """
    rows = []
    for model, table in tables.items():
        rows += evaluate(CLAIMS, STUDY, model, model in untrained, Resamples(table))
    return pd.DataFrame(rows)
