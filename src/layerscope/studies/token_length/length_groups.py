"""The three groups of tokens: shorter than, equal to, longer than the median length of the corpus."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError
from layerscope.stats.weighted_median import weighted_median
from layerscope.tokenize.vocabulary import takes_part

GROUPS = ("short", "median", "long")
GROUP_NAMES = {"short": "shorter than the median", "median": "of median length", "long": "longer than the median"}
POOLED = -1  # in place of a neuron in tables of histograms: all neurons, each standardised


@dataclass(frozen=True)
class TokenLengths:
    """Lengths of the tokens of a sample that take part in the statistics.

    Special tokens and pieces of UTF-8 characters are left out.
    """

    keep: np.ndarray  # [tokens], bool: which tokens of the sample take part
    lengths: np.ndarray  # [kept tokens], characters, leading space included
    median: float  # of the tokens that are counted in the corpus

    @cached_property
    def group(self) -> np.ndarray:
        """[kept tokens]: 0 shorter than, 1 equal to, 2 longer than the median length."""
        return (np.sign(self.lengths - self.median) + 1).astype(np.int8)

    @property
    def counts(self) -> dict[str, int]:
        return dict(zip(GROUPS, np.bincount(self.group, minlength=3).tolist(), strict=True))


def token_lengths(vocabulary: pd.DataFrame, input_ids: np.ndarray) -> TokenLengths:
    """Lengths of the tokens ``input_ids`` [tokens], by the table of :mod:`layerscope.tokenize.vocabulary`.

    Raises:
        UserError: no token is left, or all have one length, so that nothing can be correlated with it.
    """
    keep = takes_part(vocabulary, input_ids)
    lengths = vocabulary["characters"].to_numpy()[input_ids][keep]
    if len(lengths) < 3 or lengths.min() == lengths.max():
        raise UserError(
            f"token_length: the sample's {len(lengths)} tokens are not of different lengths; take more text"
        )
    return TokenLengths(keep, lengths, median_length(vocabulary))


def median_length(types: pd.DataFrame) -> float:
    """The median length of the tokens counted in the corpus that take part.

    Not of the sample, so that tokens keep their group when it grows.

    Args:
        types: table of :mod:`layerscope.tokenize.frequency`.

    Raises:
        UserError: no such token was counted.
    """
    counted = types[~(types["special"] | types["partial"])]
    median = weighted_median(counted["characters"].to_numpy(), counted["corpus_count"].to_numpy())
    if np.isnan(median):
        raise UserError("token_length: no token was counted in the corpus; raise studies.token_length.frequency_tokens")
    return median
