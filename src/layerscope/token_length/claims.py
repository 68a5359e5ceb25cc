"""Claims of the study, their statistics and rules."""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from layerscope.claims import UNKNOWN, Claim, Draws, Estimate, judge
from layerscope.depth import relative_depth
from layerscope.inference import ALPHA
from layerscope.resampling import KINDS, two_way_error
from layerscope.token_length.summaries import RESAMPLED, SHIFT, STATISTICS, share_of_neurons

STUDY = "token_length"
RESAMPLES = 1000  # of sequences, for the median length


@dataclass(frozen=True)
class Evidence:
    """What the claims on one model rest on."""

    draws: Draws  # of statistics named {measure}_{statistic}
    modality: pd.DataFrame  # the model's rows of modality.csv
    lengths: pd.DataFrame  # of the sample: sequence, length, count

    @classmethod
    def of(cls, draws: list[pd.DataFrame], modality: pd.DataFrame, lengths: pd.DataFrame) -> "Evidence":
        """Of the tables of draws of a model's layers, in order."""
        parts = []
        for layer, table in enumerate(draws):
            for measure in (*RESAMPLED, SHIFT):
                rows = table[table["measure"] == measure]
                for statistic in STATISTICS if measure != SHIFT else ("mean",):
                    part = rows[["kind", "draw", "sequences", "types_effective"]].assign(
                        statistic=f"{measure}_{statistic}", layer=layer
                    )
                    parts.append(part.assign(value=rows[statistic]))
        return cls(Draws(pd.concat(parts)), modality, lengths)


def longest(of: Evidence) -> Estimate:
    """A fact of the sample, without an interval; unknown where the shortest is not of one character."""
    if of.lengths["length"].min() != 1:
        return UNKNOWN
    most = float(of.lengths["length"].max())
    return Estimate(most, most, most)


def median_length(of: Evidence) -> Estimate:
    """With the interval of the medians of samples of as many sequences, drawn anew."""
    counts = of.lengths.pivot_table(index="sequence", columns="length", values="count", fill_value=0)
    at, table = counts.columns.to_numpy(), counts.to_numpy()
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=RESAMPLES) @ table
    medians = [np.median(np.repeat(at, row.astype(int))) for row in drawn]
    low, high = np.quantile(medians, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(float(np.median(np.repeat(at, table.sum(axis=0).astype(int)))), low, high)


def narrowing(spread: np.ndarray) -> np.ndarray:
    """Spread of the last layer less the mean of the layers in the middle half: [layers, draws] to [draws]."""
    depth = np.array([relative_depth(layer, len(spread)) for layer in range(len(spread))])
    middle = spread[(depth >= 0.25) & (depth <= 0.75)]
    return spread[-1] - middle.mean(axis=0) if len(middle) else np.full(spread.shape[1], np.nan)


def explained(raw: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Slope, through zero, of the layers' partial on their raw medians: [layers, draws] of both to [draws]."""
    return (raw * given).sum(axis=0) / (raw**2).sum(axis=0)


def left_given_frequency(of: Evidence) -> Estimate:
    """Unknown where r itself is within chance: then there is nothing to explain."""
    observed, chance = (np.square(of.draws.of(kind, "r_median")[0]).sum(axis=0) for kind in ("observed", "chance"))
    if observed[0] <= np.quantile(chance, 1 - ALPHA):
        return UNKNOWN
    found = of.draws.estimate(explained, "r_median", "r_given_frequency_median")
    return Estimate(found.effect, found.low, found.high)  # lengths dealt anew give no slope to compare with


def several_modes(of: Evidence) -> Estimate:
    """Share at a false discovery rate of 5 %, and the bound below it by Holm, which holds under any dependence.

    From above nothing bounds the share, since a dip may be too small to see; only where no more neurons pass at 5 %
    than would with one mode, it is set to that. Unknown of more types than the table of the dip test is for.
    """
    share, low, plain = (share_of_neurons(of.modality, "types", c) for c in ("share_bh", "share_holm", "share"))
    if np.isnan(share):
        return UNKNOWN
    return Estimate(share, low, 1.0 if plain > ALPHA else ALPHA, 0.0, ALPHA)


CLAIMS: list[Claim[Evidence]] = [
    Claim(
        "lengths_1_to_16",
        "Tokens are 1 to 16 characters long.",
        "length of the longest token of the sample, where the shortest has one character",
        15.5, 16.5, longest, of_training=False,
    ),
    Claim(
        "median_length_4",
        "The median token is 4 characters long.",
        "median length of the sample's tokens, leading space included",
        3.5, 4.5, median_length, of_training=False,
    ),
    Claim(
        "long_tokens_shifted_down",
        "Activations of long tokens are shifted to negative values.",
        "mean activation of tokens longer than the median less that of shorter ones, in each neuron's standard "
        "deviation, averaged over neurons and layers",
        -inf, 0, lambda of: of.draws.estimate(lambda shift: shift.mean(axis=0), f"{SHIFT}_mean"),
    ),
    Claim(
        "most_neurons_weakly_negative",
        "Most neurons correlate weakly negatively with token length.",
        "share of neurons with -0.2 < r < 0, averaged over layers",
        0.5, inf, lambda of: of.draws.estimate(lambda share: share.mean(axis=0), "r_fraction_weakly_negative"),
    ),
    Claim(
        "first_layer_positive",
        "Neurons of the first layer correlate positively with token length.",
        "median r over the neurons of layer 0",
        0, inf, lambda of: of.draws.estimate(lambda median: median[0], "r_median"),
    ),
    Claim(
        "last_layers_shrink",
        "The distribution of r shrinks in the last layers.",
        "standard deviation of r over the neurons of the last layer less its mean over the middle half of the layers",
        -inf, 0, lambda of: of.draws.estimate(narrowing, "r_std"),
    ),
    Claim(
        "neurons_multimodal",
        "The activations of more than 5 % of the neurons have several modes.",
        "share of neurons whose dip over token types passes at a false discovery rate of 5 %; interval: bound by Holm",
        ALPHA, inf, several_modes,
    ),
    Claim(
        "frequency_explains",
        "Frequency explains more than half of the correlation with token length.",
        "slope of the layers' median r given log frequency on their median r",
        -inf, 0.5, left_given_frequency,
    ),
]  # fmt: skip


def largest_difference(pair: tuple[Draws, Draws]) -> Estimate:
    """At the depth where it is largest for its error, with an interval for as many looks as there are depths.

    Of both models the same tokens are left out, so their errors are taken together.
    """
    one, other = pair
    grid = np.linspace(0, 1, min(len(draws.of("observed", "r_median")[0]) for draws in pair))

    def difference(kind: str) -> np.ndarray:
        values = []
        for draws in (one, other):
            (median,) = draws.of(kind, "r_median")
            depth = np.linspace(0, 1, len(median))
            values.append(np.stack([np.interp(grid, depth, column) for column in median.T], axis=1))
        return values[1] - values[0]

    observed = np.abs(difference("observed")[:, 0])
    error = two_way_error(*(difference(kind) for kind in KINDS))
    at = (observed / error).argmax()
    reach = one.quantile(ALPHA / len(grid), "r_median") * error[at]
    by_chance = np.quantile(np.abs(difference("chance")).max(axis=0), 1 - ALPHA)
    return Estimate(observed[at], observed[at] - reach, observed[at] + reach, 0.0, by_chance)


CLAIMS_ON_PAIRS: list[Claim[tuple[Draws, Draws]]] = [
    Claim(
        "models_differ_beyond_size",
        "The two models differ in more than their size.",
        "difference of median r at one relative depth, where it is largest for its error",
        0.02, inf, largest_difference,
    ),
]  # fmt: skip


def claims_table(evidence: dict[str, Evidence], pairs: list[list[str]], controls: list[str]) -> pd.DataFrame:
    """The study's rows of claims.csv.

    Args:
        evidence: model → what its claims rest on.
        pairs: of models that are compared.
        controls: models with random weights.
    """
    rows: list[dict[str, Any]] = []
    for model, of in evidence.items():
        rows += judge(CLAIMS, STUDY, model, model in controls, of)
    for one, other in pairs:
        control = one in controls or other in controls
        pair = (evidence[one].draws, evidence[other].draws)
        rows += judge(CLAIMS_ON_PAIRS, STUDY, f"{one}, {other}", control, pair)
    return pd.DataFrame(rows)
