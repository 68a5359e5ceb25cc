"""Claims of the study, their statistics and rules."""

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
    """An effect with the interval of Student's t and the jackknife's standard error over sentences.

    Args:
        table: ``layer``, and the columns of :func:`token_similarity.jackknife.jackknife_layer`.
        effect: gets the rows of all layers, indexed by layer and ``left_out``; gives a value for each ``left_out``.
        growth: by how much the standard error grows for each unit of the effect; an end of the interval is where an
            effect with the error that belongs to it would just be compatible with the one seen.
    """
    values = effect(table.set_index(["layer", "left_out"]))
    left_out = values.drop(-1).to_numpy()
    quantile = student_quantile(len(left_out) - 1)
    width = float(half_width(left_out, len(left_out) - 1))
    slope = quantile * growth
    high = values[-1] + width / (1 - slope) if slope < 1 else np.inf
    return Estimate(values[-1], values[-1] - width / (1 + slope), high, clusters=float(table["sentences"].max()))


def fall(values: pd.Series) -> pd.Series:
    """First layer less last."""
    layers = values.index.get_level_values("layer")
    return values[layers.min()] - values[layers.max()]


def rise(values: pd.Series) -> pd.Series:
    """Mean of the last quarter of the layers less that of the first."""
    layers = values.index.get_level_values("layer")
    depth = layers.map(lambda layer: relative_depth(layer, layers.max() + 1))
    late, early = (values[chosen].groupby("left_out").mean() for chosen in (depth > 0.75, depth < 0.25))
    return late - early


def independent(sentences: pd.Series) -> pd.Series:
    """Mean absolute cosine of independent directions in ``sentences`` dimensions: Γ(n/2) / (√π Γ((n+1)/2))."""
    return np.exp(gammaln(sentences / 2) - gammaln((sentences + 1) / 2)) / np.sqrt(np.pi)


def over_independent(table: pd.DataFrame) -> Estimate:
    """Similarity of the last layer over that of independent values in as many dimensions.

    The interval is made for its logarithm, whose error grows with it by √(2/n), the relative error of a variance of n
    values: what dimensions share is one.
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
        "The similarity of Q, K and V of the target falls with depth.",
        "In GPT-2 XL the cosines of 'her' are near ±1 in early layers, and flatter in late ones.",
        "mean absolute cosine between dimensions, first layer less last",
        0, inf, lambda table: jackknifed(table, lambda rows: fall(rows["similarity"])),
        clustered_by="sentences",
        of_training=False,  # any mixing with other tokens brings it about
    ),
    Claim(
        "similarity_falls_to_zero",
        "The similarity of Q, K and V of the target falls to what independent values would give.",
        "In late layers the cosines are centred on 0.",
        "mean absolute cosine of the last layer over that of independent values",
        -inf, 1.5, over_independent,
        clustered_by="sentences",
    ),
    Claim(
        "fall_beyond_mean_over_spread",
        "What the dimensions share beyond their ratios of mean to spread falls with depth.",
        "The cosines become flatter with depth; their cause is not asked for.",
        "mean absolute cosine less that after every dimension's sentences were shuffled, first layer less last",
        0, inf, lambda table: jackknifed(table, lambda rows: fall(rows["similarity"] - rows["shuffled"])),
        clustered_by="sentences",
        of_training=False,  # sentences with the target at the same position have the same vectors in the first layer
    ),
    Claim(
        "early_cosines_extreme",
        "In the first layer the dimensions of Q, K and V of the target are as good as parallel.",
        "In early layers of GPT-2 XL the cosines of 'her' are near ±1.",
        "mean absolute cosine between dimensions in the first layer",
        0.9, inf, lambda table: jackknifed(table, lambda rows: rows.loc[0, "similarity"]),
        clustered_by="sentences",
        of_training=False,  # a fixed token's vectors differ there only by position
    ),
    Claim(
        "variance_rises",
        "The variance of Q, K and V of the target over contexts rises with depth.",
        "In GPT-2 XL the variance over contexts grows with depth.",
        "log of the variance over sentences, mean over Q, K and V, last quarter of the layers less the first",
        0, inf, lambda table: jackknifed(table, lambda rows: rise(rows["log_variance"])),
        clustered_by="sentences",
        of_training=False,  # random weights change it too, up or down from one draw of them to another
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
