"""Claims of the study, their statistics and criteria."""

from collections.abc import Callable
from math import inf

import numpy as np
import pandas as pd
from scipy.special import gammaln

from layerscope.stats.claims import Claim, Estimate, evaluate
from layerscope.stats.intervals import student_quantile
from layerscope.stats.jackknife_interval import half_width
from layerscope.stats.relative_depth import relative_depth

STUDY = "token_similarity"


def jackknifed(table: pd.DataFrame, effect: Callable[[pd.DataFrame], pd.Series], growth: float = 0.0) -> Estimate:
    """An effect with its 95% interval over sentences, from Student's t and the jackknife standard error.

    Args:
        table: ``layer`` and the columns of :func:`token_similarity.jackknife.jackknife_layer`.
        effect: gets the rows of all layers, indexed by layer and ``resample``; gives one value per ``resample``.
        growth: increase of the standard error per unit of the effect. Each end of the interval is the effect that,
            with its own standard error, is just compatible with the observed one.
    """
    values = effect(table.set_index(["layer", "resample"]))
    resamples = values.drop(-1).to_numpy()
    quantile = student_quantile(len(resamples) - 1)
    width = float(half_width(resamples, len(resamples) - 1))
    slope = quantile * growth
    high = values[-1] + width / (1 - slope) if slope < 1 else np.inf
    return Estimate(values[-1], values[-1] - width / (1 + slope), high, clusters=float(table["sentences"].max()))


def fall(values: pd.Series) -> pd.Series:
    """First layer minus last."""
    layers = values.index.get_level_values("layer")
    return values[layers.min()] - values[layers.max()]


def rise(values: pd.Series) -> pd.Series:
    """Mean of the last quarter of the layers minus that of the first quarter."""
    layers = values.index.get_level_values("layer")
    depth = layers.map(lambda layer: relative_depth(layer, layers.max() + 1))
    late, early = (values[chosen].groupby("resample").mean() for chosen in (depth > 0.75, depth < 0.25))
    return late - early


def independent(sentences: pd.Series) -> pd.Series:
    """Mean absolute cosine of independent directions in n = ``sentences`` dimensions: Γ(n/2) / (√π Γ((n+1)/2))."""
    return np.exp(gammaln(sentences / 2) - gammaln((sentences + 1) / 2)) / np.sqrt(np.pi)


def over_independent(table: pd.DataFrame) -> Estimate:
    """Similarity of the last layer divided by that of independent values in as many dimensions.

    The interval is computed for its logarithm. Its error grows with it by √(2/n), the relative error of a variance
    estimated from n values, because what the dimensions share is such a variance.
    """

    def log_ratio(rows: pd.DataFrame) -> pd.Series:
        last = rows.loc[rows.index.get_level_values("layer").max()]
        return np.log(last["similarity"] / independent(last["sentences"]))

    found = jackknifed(table, log_ratio, growth=(2 / table["sentences"].max()) ** 0.5)
    effect, low, high = np.exp([found.effect, found.low, found.high])
    return Estimate(effect, low, high, clusters=found.clusters)


CLAIMS: list[Claim[pd.DataFrame]] = [
    Claim(
        "similarity_falls",
        "The similarity of the dimensions of Q, K and V of the target falls with depth.",
        "In GPT-2 XL the cosines of 'her' are near ±1 in early layers, and their distribution is flatter in late ones.",
        "mean absolute cosine between dimensions, first layer minus last",
        0, inf, lambda table: jackknifed(table, lambda rows: fall(rows["similarity"])),
        clustered_by="sentences",
        of_training=False,  # any mixing with other tokens produces it
    ),
    Claim(
        "similarity_falls_to_zero",
        "The similarity of the dimensions of Q, K and V of the target falls to about that of independent values.",
        "In late layers the cosines are centred on 0.",
        "mean absolute cosine of the last layer divided by that of independent values",
        -inf, 1.5, over_independent,
        clustered_by="sentences",
    ),
    Claim(
        "fall_beyond_mean_over_spread",
        "The similarity that the dimensions' ratios of mean to spread do not explain falls with depth.",
        "The distribution of the cosines becomes flatter with depth; the cause is not studied.",
        "mean absolute cosine minus that after shuffling the sentences within each dimension, first layer minus last",
        0, inf, lambda table: jackknifed(table, lambda rows: fall(rows["similarity"] - rows["shuffled"])),
        clustered_by="sentences",
        of_training=False,  # in the first layer, sentences with the target at one position share its vectors
    ),
    Claim(
        "early_cosines_extreme",
        "In the first layer the dimensions of Q, K and V of the target are nearly parallel.",
        "In early layers of GPT-2 XL the cosines of 'her' are near ±1.",
        "mean absolute cosine between dimensions in the first layer",
        0.9, inf, lambda table: jackknifed(table, lambda rows: rows.loc[0, "similarity"]),
        clustered_by="sentences",
        of_training=False,  # there, the vectors of a fixed token differ only by position
    ),
    Claim(
        "variance_rises",
        "The variance of Q, K and V of the target over contexts rises with depth.",
        "In GPT-2 XL the variance over contexts grows with depth.",
        "log of the variance over sentences, averaged over Q, K and V, last quarter of the layers minus the first",
        0, inf, lambda table: jackknifed(table, lambda rows: rise(rows["log_variance"])),
        clustered_by="sentences",
        of_training=False,  # random weights change it too, up or down depending on the seed
    ),
]  # fmt: skip


def claims_table(tables: dict[str, pd.DataFrame], untrained: list[str]) -> pd.DataFrame:
    """The study's rows of claims.csv.

    Args:
        tables: model → its table of jackknifed layers.
        untrained: models with random weights.
    """
    return pd.DataFrame(
        [row for model, table in tables.items() for row in evaluate(CLAIMS, STUDY, model, model in untrained, table)]
    )
