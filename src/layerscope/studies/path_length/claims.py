"""Claims of the study, their statistics and criteria.

resid_post = resid_pre + attn_out + mlp_out, so the square of the stream's path length is that of both steps plus twice
their dot product. By this identity it follows, whatever the weights, the step that varies more over tokens, which is
often the larger; and one draw of random weights may have its longest path, or its larger step, anywhere. So only a
claim that no initialisation brings about is about training.
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
    """Longest of the last quarter of the layers over the longest before: [layers, resamples] to [resamples].

    A layer without a path, as layer 0 of attention and MLP, has no say.
    """
    late = relative_depths(len(lengths)) > 0.75
    known = ~np.isnan(lengths).all(axis=1)
    if not (known & late).any() or not (known & ~late).any():
        return np.full(lengths.shape[1], np.nan)
    return lengths[known & late].max(axis=0) / lengths[known & ~late].max(axis=0)


def mean_ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Geometric mean over layers of ``one`` over ``other``: [layers, resamples] of each to [resamples]."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a stream that adds nothing has no ratio
        return np.exp(np.log(one / other).mean(axis=0))


def mean_of_paths(r: np.ndarray) -> np.ndarray:
    """Mean over layers but layer 0, before which attention and MLP have no path: [layers, resamples] to [resamples]."""
    return r[1:].mean(axis=0) if len(r) > 1 else np.full(r.shape[1], np.nan)


def reversal(without: np.ndarray, with_first: np.ndarray) -> np.ndarray:
    """How far r without the first token lies above zero and r with it below, whichever is less."""
    return np.minimum(mean_of_paths(without), -mean_of_paths(with_first))


def absolute(estimate: Estimate) -> Estimate:
    """The absolute value of an effect; its interval begins at zero where that of the effect holds zero."""
    low, high = estimate.low, estimate.high
    return replace(
        estimate, effect=abs(estimate.effect), low=float(np.max([0, low, -high])), high=float(np.max([-low, high]))
    )


def share_followed(resamples: Resamples) -> Estimate:
    """Share of layers in which the MLP's r is larger than attention's.

    A share of few layers moves in steps, which a jackknife does not see. So it is bounded by layers whose difference
    has a known sign: simultaneous intervals (Bonferroni) hold the differences of all layers in 95 % of samples.
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
        f"The last layers take the largest step of {stream}.",
        "The path lengths of all three streams jump in the last blocks.",
        f"longest mean path of {stream} in the last quarter of the layers over the longest before",
        1, inf, lambda resamples: resamples.estimate(late_over_early, f"length_{name}"),
        of_training=False,
    )  # fmt: skip


CLAIMS: list[Claim[Resamples]] = [
    *(last_layers_largest(name, stream) for name, stream in STREAMS.items()),
    Claim(
        "mlp_step_larger",
        "The MLP adds more to the residual stream than attention does.",
        "Compares no steps; larger ones of the MLP would explain why the residual stream's path goes with its.",
        "the MLP's mean step over attention's, geometric mean over layers",
        1, inf, lambda resamples: resamples.estimate(mean_ratio, "step_mlp", "step_attn"),
        of_training=False,
    ),
    Claim(
        "mlp_follows_more",
        "In most layers the path of the residual stream goes with the MLP's more than with attention's; partly by "
        "identity, as the stream moves by the sum of both outputs and so follows the step that varies more, often "
        "the larger.",
        "In most layers the MLP's path correlates more with the residual stream's than attention's does.",
        "share of layers, but layer 0, in which the MLP's r with the residual stream's path length is the larger",
        0.5, inf, share_followed,
        of_training=False,
    ),
    Claim(
        "first_token_reverses_sign",
        "The first token of each sequence turns the MLP's r from positive to negative.",
        "The first token turns Pearson's r of about 0.6 into -0.2.",
        "the smaller of two means over layers: r of MLP and residual stream without the first token, and minus r "
        "with it",
        0, inf, lambda resamples: resamples.estimate(reversal, "r_mlp", "r_mlp_all"),
    ),
    Claim(
        "spearman_steady",
        "Spearman's r of the MLP hardly changes with the first token.",
        "Spearman's r, or leaving the first token out, repairs what it does to Pearson's.",
        "absolute mean over layers of Spearman's r of MLP and residual stream without the first token less that with "
        "it",
        -inf, 0.1,
        lambda resamples: absolute(resamples.estimate(lambda *r: mean_of_paths(r[0] - r[1]), "rho_mlp", "rho_mlp_all")),
        of_training=False,
    ),
    Claim(
        "attn_mlp_near_orthogonal",
        "The outputs of attention and MLP are nearly orthogonal.",
        "The outputs of attention and MLP are nearly orthogonal.",
        "mean over layers of the absolute mean cosine between the two",
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
