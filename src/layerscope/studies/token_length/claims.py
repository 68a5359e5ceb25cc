"""Claims of the study about models, with their criteria; :mod:`.sample_claims` has those about the sample."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from layerscope.stats.claims import UNKNOWN, Claim, Estimate, Resamples, evaluate
from layerscope.stats.intervals import ALPHA, null_band
from layerscope.stats.jackknife import jackknife_error
from layerscope.stats.multiple_testing import at_least
from layerscope.stats.relative_depth import relative_depths
from layerscope.studies.token_length.dip_test import SMALLEST_P
from layerscope.studies.token_length.measures import share_of_neurons
from layerscope.studies.token_length.sample_claims import SAMPLE_CLAIMS, SampleLengths

STUDY = "token_length"
# Where the null is zero the criterion is more than zero, or one in forty models without any signal would pass.
SMALLEST = 0.02  # difference of r, or of activations in standard deviations, that matters


@dataclass(frozen=True)
class Evidence:
    """What the claims on one model are evaluated from."""

    resamples: Resamples  # of statistics named {measure}_{statistic}
    multimodality: pd.DataFrame  # the model's rows of multimodality.csv

    @classmethod
    def of(cls, resamples: list[pd.DataFrame], multimodality: pd.DataFrame) -> "Evidence":
        """From the tables of resamples of a model's layers, in order."""
        table = pd.concat([table.assign(layer=layer) for layer, table in enumerate(resamples)], ignore_index=True)
        return cls(Resamples(table.assign(statistic=table["measure"] + "_" + table["statistic"])), multimodality)


def middle_half(values: np.ndarray) -> np.ndarray:
    """Those of the layers [layers, resamples] at a relative depth of 0.25 to 0.75."""
    depth = relative_depths(len(values))
    return values[(depth >= 0.25) & (depth <= 0.75)]


def last_minus_middle(values: np.ndarray) -> np.ndarray:
    """The last layer minus the mean of the middle half: [layers, resamples] to [resamples]; NaN without a middle."""
    middle = middle_half(values)
    return values[-1] - middle.mean(axis=0) if len(middle) else np.full(values.shape[1], np.nan)


def explained(raw: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Slope through zero of the layers' partial correlation on their r, both medians: [layers, resamples] to
    [resamples]."""
    return (raw * given).sum(axis=0) / (raw**2).sum(axis=0)


def left_given_frequency(of: Evidence) -> Estimate:
    """Unknown where no layer's median r is beyond its null and ``SMALLEST``: then there is nothing to explain."""
    (observed,), (null,) = of.resamples.of("observed", "r_median"), of.resamples.of("null", "r_median")
    bands = np.array([null_band(of_layer, ALPHA / len(null)) for of_layer in null])
    beyond = (observed[:, 0] < bands[:, 0]) | (observed[:, 0] > bands[:, 1])
    if not (beyond & (np.abs(observed[:, 0]) > SMALLEST)).any():
        return UNKNOWN
    found = of.resamples.estimate(explained, "r_median", "r_given_frequency_median")
    return replace(found, null_low=np.nan, null_high=np.nan)  # neurons of no r have no slope


def multimodal_share(of: Evidence) -> Estimate:
    """Share of neurons with p <= 1e-5, and the lower bound that Markov's inequality gives.

    Nothing bounds the share from above, since modes may be too close to be detected. Unknown for more types than the
    table of the dip test covers.
    """
    share = share_of_neurons(of.multimodality, "types", "share_1e5")
    if np.isnan(share):
        return UNKNOWN
    null = (0.0, SMALLEST_P / ALPHA)
    return Estimate(share, at_least(share, SMALLEST_P), 1.0, *null, of.resamples.fewest("r_types_median"))


def of_layers(effect: Callable[[np.ndarray], np.ndarray], statistic: str) -> Callable[[Evidence], Estimate]:
    return lambda of: of.resamples.estimate(effect, statistic)


def of_both_questions(
    name: str,
    statement: str,
    reference: str,
    statistic: str,
    above: float,
    below: float,
    effect: Callable[[np.ndarray], np.ndarray],
    summary: str,
) -> list[Claim[Evidence]]:
    """A claim on r over tokens, for this vocabulary, and the same on r over types, for new token types.

    Args:
        effect: a function of a ``summary`` of r over the neurons of each layer, [layers, resamples] to [resamples].
    """
    over_types = f"{name}_types", f"{statement[:-1]}, and would for new token types."
    return [
        Claim(name, statement, reference, statistic, above, below, of_layers(effect, f"r_{summary}")),
        Claim(
            *over_types, reference, f"{statistic}; r over types", above, below,
            of_layers(effect, f"r_types_{summary}"), clustered_by="types",
        ),
    ]  # fmt: skip


CLAIMS: list[Claim[Evidence]] = [
    Claim(
        "long_tokens_shifted_down",
        "Activations of long tokens are shifted to negative values.",
        "Long tokens are shifted slightly to negative values.",
        "mean activation of tokens longer than the median minus that of shorter ones, in each neuron's standard "
        "deviations, averaged over neurons and layers",
        -inf, -SMALLEST, of_layers(lambda shift: shift.mean(axis=0), "shift_mean"),
    ),
    Claim(
        "groups_overlap",
        "Activations of long and of short tokens overlap.",
        "The histograms of short, median and long tokens overlap.",
        "overlap of a neuron's histograms of short and of long tokens, averaged over neurons and layers",
        0.8, inf, of_layers(lambda overlap: overlap.mean(axis=0), "overlap_mean"),
        of_training=False,  # the groups of a neuron that does not depend on length overlap fully
    ),
    *of_both_questions(
        "most_neurons_weakly_negative",
        "Most neurons (more than 60%) have a weak negative correlation with token length.",
        "Most neurons have a weak negative correlation with token length.",
        "share of neurons with −0.2 < r < 0, averaged over layers",
        0.6, inf,
        lambda share: share.mean(axis=0), "fraction_weakly_negative",
    ),
    *of_both_questions(
        "first_layer_positive",
        "Neurons of the first layer correlate positively with token length.",
        "In the first layer the correlation is strongly positive.",
        "median r over the neurons of layer 0",
        0.05, inf,
        lambda median: median[0], "median",
    ),
    *of_both_questions(
        "last_layers_near_zero",
        "The correlation is closer to zero in the last layers than in the middle ones.",
        "In the last layers the distribution of r moves towards zero.",
        "|median r| of the last layer minus its mean over the middle half of the layers",
        -inf, -SMALLEST,
        lambda median: last_minus_middle(np.abs(median)), "median",
    ),
    *of_both_questions(
        "last_layers_shrink",
        "The distribution of r shrinks in the last layers.",
        "In the last layers the distribution of r shrinks.",
        "variance of r over the neurons of the last layer, minus the part due to the errors of r, minus its mean "
        "over the middle half of the layers",
        -inf, -(SMALLEST**2),
        last_minus_middle, "variance",
    ),
    Claim(
        "neurons_multimodal",
        "The activations of more than 5% of the neurons are multimodal.",
        "In the 1.3B model activations are multimodal.",
        "share of neurons whose dip over token types has p ≤ 1e-5; lower end: minus 1e-5 / 0.05 (Markov's inequality)",
        ALPHA, inf, multimodal_share, clustered_by="types",
    ),
    Claim(
        "frequency_explains",
        "Frequency explains more than half of the correlation with token length.",
        "Frequency may explain the correlation, since short tokens are frequent.",
        "slope of the layers' median r given frequency on their median r",
        -inf, 0.5, left_given_frequency,
    ),
]  # fmt: skip

Pair = tuple[Evidence, Evidence]


def largest_difference(pair: Pair) -> Estimate:
    """At the depth where it is largest relative to its error, with an interval corrected for the number of depths.

    The same documents are left out of both models, so the error is that of the difference.
    """
    one, other = (of.resamples for of in pair)
    grid = relative_depths(min(len(resamples.of("observed", "r_median")[0]) for resamples in (one, other)))

    def difference(kind: str) -> np.ndarray:
        values = []
        for resamples in (one, other):
            (median,) = resamples.of(kind, "r_median")
            depth = relative_depths(len(median))
            values.append(np.stack([np.interp(grid, depth, column) for column in median.T], axis=1))
        return values[1] - values[0]

    observed = np.abs(difference("observed")[:, 0])
    error = jackknife_error(difference("jackknife"))
    at = (observed / error).argmax()
    half_width = one.half_width(difference("jackknife")[at], "r_median", level=ALPHA / len(grid))
    _, null = null_band(difference("null")[at], ALPHA / len(grid))
    return Estimate(
        observed[at], observed[at] - half_width, observed[at] + half_width, 0.0, null, one.fewest("r_median")
    )


def difference_of_kurtosis(pair: Pair) -> Estimate:
    """Mean over layers of the median kurtosis, larger model minus smaller; the same documents are left out of both."""
    one, other = (of.resamples for of in pair)

    def difference(kind: str) -> np.ndarray:
        (smaller,), (larger,) = one.of(kind, "kurtosis_median"), other.of(kind, "kurtosis_median")
        return larger.mean(axis=0) - smaller.mean(axis=0)

    effect = float(difference("observed")[0])
    half_width = float(one.half_width(difference("jackknife"), "kurtosis_median"))
    return Estimate(effect, effect - half_width, effect + half_width, clusters=one.fewest("kurtosis_median"))


def difference_of_multimodal_shares(pair: Pair) -> Estimate:
    """Share of neurons found to be multimodal, larger model minus smaller.

    Its lower end is Markov's bound for the larger model minus all that may be multimodal in the smaller (p <= 5%),
    apart from neurons whose modes are too close for this sample, in either. Nothing bounds it from above.
    """
    smaller, larger = (share_of_neurons(of.multimodality, "types", "share_1e5") for of in pair)
    possible = share_of_neurons(pair[0].multimodality, "types", "share")
    clusters = pair[0].resamples.fewest("r_types_median")
    return Estimate(larger - smaller, at_least(larger, SMALLEST_P) - possible, 1.0, clusters=clusters)


CLAIMS_ON_PAIRS: list[Claim[Pair]] = [
    Claim(
        "models_differ",
        "The median r of the two models differs by more than 0.02 at some relative depth.",
        "The two models differ in more than their size.",
        "difference of median r at the relative depth where it is largest relative to its error",
        SMALLEST, inf, largest_difference,
    ),
    Claim(
        "larger_more_multimodal",
        "More neurons of the larger model are multimodal.",
        "The 1.3B model has multimodal neurons where the 125M model has none.",
        "share of neurons whose dip over token types has p ≤ 1e-5, larger model minus smaller",
        0, inf, difference_of_multimodal_shares, clustered_by="types",
    ),
    Claim(
        "larger_heavier_tails",
        "The activations of the larger model have heavier tails.",
        "The distributions of the 1.3B model are less regular than those of the 125M model.",
        "median excess kurtosis over neurons, averaged over layers, larger model minus smaller",
        0, inf, difference_of_kurtosis,
        of_training=False,  # two initialisations differ in it too
    ),
]  # fmt: skip


def claims_table(
    evidence: dict[str, Evidence], pairs: list[list[str]], untrained: list[str], lengths: dict[str, SampleLengths]
) -> pd.DataFrame:
    """The study's rows of claims.csv.

    Args:
        evidence: model → what its claims are evaluated from.
        pairs: models that are compared, the smaller first.
        untrained: models with random weights.
        lengths: tokenizer → lengths of the sample.
    """
    rows: list[dict[str, Any]] = []
    for model, of in evidence.items():
        rows += evaluate(CLAIMS, STUDY, model, model in untrained, of)
    for one, other in pairs:
        of_untrained = one in untrained or other in untrained
        rows += evaluate(CLAIMS_ON_PAIRS, STUDY, f"{one}, {other}", of_untrained, (evidence[one], evidence[other]))
    for tokenizer, sample in lengths.items():
        rows += evaluate(SAMPLE_CLAIMS, STUDY, f"tokenizer {tokenizer}", False, sample)
    return pd.DataFrame(rows)
