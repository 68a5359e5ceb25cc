"""Claims about the tokenizer and the sample of text, which hold for every model."""

from collections.abc import Callable
from math import inf

import numpy as np
import pandas as pd
from scipy.stats import beta

from layerscope.stats.claims import Claim, Estimate
from layerscope.stats.intervals import ALPHA, student_quantile
from layerscope.stats.jackknife import effective_number, jackknife_error

RESAMPLES = 1000


class SampleLengths:
    """How many tokens of each length each document of the sample holds.

    Args:
        table: of :func:`token_length.lengths_by_document.lengths_by_document`.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        counts = table.pivot_table(index="document", columns="length", values="count", fill_value=0).astype(int)
        self.lengths, self.counts = counts.columns.to_numpy(), counts.to_numpy()  # [lengths], [documents, lengths]

    @property
    def documents(self) -> int:
        return len(self.counts)

    def median(self, counts: np.ndarray) -> float:
        """Median length of as many tokens of each length as ``counts`` [lengths] says."""
        return float(np.median(np.repeat(self.lengths, counts)))


def median_length(of: SampleLengths) -> Estimate:
    """With the bootstrap interval over documents."""
    rng = np.random.default_rng(0)
    weights = np.full(of.documents, 1 / of.documents)
    medians = [of.median(row) for row in rng.multinomial(of.documents, weights, size=RESAMPLES) @ of.counts]
    low, high = np.quantile(medians, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(of.median(of.counts.sum(axis=0)), low, high, clusters=of.documents)


def share_of_tokens(which: Callable[[SampleLengths], np.ndarray]) -> Callable[[SampleLengths], Estimate]:
    """Share of tokens of the lengths that ``which`` picks, [lengths] of bool.

    The interval is Clopper and Pearson's for the effective number of independent tokens (Korn and Graubard 1998, Survey
    Methodology 24:193); it has an upper end where no token is seen.
    """

    def estimate(of: SampleLengths) -> Estimate:
        tokens = of.counts.sum(axis=1)
        hits, total = of.counts[:, which(of)].sum(axis=1), tokens.sum()
        share = hits.sum() / total
        with np.errstate(invalid="ignore"):
            error = jackknife_error((hits.sum() - hits) / (total - tokens))
        worth = float(total)
        if error > 0:
            df = effective_number(tokens) - 1
            quantiles = student_quantile(total - 1) / student_quantile(df)
            worth = min(worth, share * (1 - share) / error**2 * quantiles**2)
        seen = worth * share
        low = beta.ppf(ALPHA / 2, seen, worth - seen + 1) if seen else 0.0
        high = beta.ppf(1 - ALPHA / 2, seen + 1, worth - seen) if seen < worth else 1.0
        return Estimate(share, float(low), float(high), clusters=of.documents)

    return estimate


SAMPLE_CLAIMS: list[Claim[SampleLengths]] = [
    Claim(
        "lengths_1_to_16",
        "Almost no token is longer than 16 characters.",
        "Token lengths run from 1 to 16.",
        "share of tokens longer than 16 characters",
        -inf, 0.001, share_of_tokens(lambda of: of.lengths > 16), of_training=False, about="sample",
    ),
    Claim(
        "median_length_4",
        "The median token is 4 characters long.",
        "The median token length is 4.",
        "median length of the sample's tokens, leading space included",
        3.5, 4.5, median_length, of_training=False, about="sample",
    ),
    Claim(
        "one_in_eight_at_median",
        "About one token in eight has the median length.",
        "About one eighth of the tokens have the median length.",
        "share of tokens of the median length",
        0.1, 0.15, share_of_tokens(lambda of: of.lengths == of.median(of.counts.sum(axis=0))),
        of_training=False, about="sample",
    ),
]  # fmt: skip
