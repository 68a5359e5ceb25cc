"""Claims of the study, their statistics and rules."""

from collections.abc import Callable
from math import inf

import numpy as np
import pandas as pd
from scipy.special import gammaln

from layerscope.claims import Claim, Estimate, judge
from layerscope.inference import student_quantile
from layerscope.resampling import jackknife_error

STUDY = "token_similarity"


def jackknifed(table: pd.DataFrame, effect: Callable[[pd.DataFrame], pd.Series], growth: float = 0.0) -> Estimate:
    """An effect with the interval of Student's t and the jackknife's standard error over sentences.

    Args:
        table: ``layer``, and the columns of :func:`layerscope.token_similarity.jackknife.jackknife_layer`.
        effect: gets the rows of all layers, indexed by layer and ``left_out``; gives a value for each ``left_out``.
        growth: by how much the standard error grows for each unit of the effect; an end of the interval is where an
            effect with the error that belongs to it would just be compatible with the one seen.
    """
    values = effect(table.set_index(["layer", "left_out"]))
    left_out = values.drop(-1).to_numpy()
    quantile = student_quantile(len(left_out) - 1)
    reach = float(jackknife_error(left_out)) * quantile
    slope = quantile * growth
    high = values[-1] + reach / (1 - slope) if slope < 1 else np.inf
    return Estimate(values[-1], values[-1] - reach / (1 + slope), high)


def fall(values: pd.Series) -> pd.Series:
    """First layer less last."""
    layers = values.index.get_level_values("layer")
    return values[layers.min()] - values[layers.max()]


def independent(sentences: int) -> float:
    """Mean absolute cosine of independent directions in ``sentences`` dimensions: Γ(n/2) / (√π Γ((n+1)/2))."""
    return float(np.exp(gammaln(sentences / 2) - gammaln((sentences + 1) / 2)) / np.sqrt(np.pi))


def over_independent(table: pd.DataFrame) -> Estimate:
    """Similarity of the last layer over that of independent values in as many dimensions.

    The interval is made for its logarithm, whose error grows with it by √(2/n), the relative error of a variance of n
    values: what dimensions share is one.
    """

    def log_ratio(rows: pd.DataFrame) -> pd.Series:
        last = rows.loc[rows.index.get_level_values("layer").max(), "similarity"]
        sentences = len(last) - 1
        return np.log(last / np.where(last.index == -1, independent(sentences), independent(sentences - 1)))

    sentences = table["left_out"].max() + 1
    found = jackknifed(table, log_ratio, growth=(2 / sentences) ** 0.5)
    return Estimate(*np.exp([found.effect, found.low, found.high]))


CLAIMS: list[Claim[pd.DataFrame]] = [
    Claim(
        "similarity_falls",
        "The similarity of Q, K and V of the target falls with depth.",
        "mean absolute cosine between dimensions, first layer less last",
        0, inf, lambda table: jackknifed(table, lambda rows: fall(rows["similarity"])),
        of_training=False,  # any mixing with other tokens brings it about
    ),
    Claim(
        "similarity_falls_to_zero",
        "It falls to what independent values would give.",
        "mean absolute cosine of the last layer over that of independent values",
        -inf, 1.5, over_independent,
    ),
    Claim(
        "fall_beyond_mean_over_spread",
        "The fall is more than a falling ratio of mean to spread.",
        "fall of the mean absolute cosine less its fall after every dimension's sentences were shuffled",
        0, inf, lambda table: jackknifed(table, lambda rows: fall(rows["similarity"] - rows["shuffled"])),
    ),
]  # fmt: skip


def claims_table(tables: dict[str, pd.DataFrame], controls: list[str]) -> pd.DataFrame:
    """The study's rows of claims.csv.

    Args:
        tables: model → its table of jackknifed layers.
        controls: models with random weights.
    """
    return pd.DataFrame(
        [row for model, table in tables.items() for row in judge(CLAIMS, STUDY, model, model in controls, table)]
    )
