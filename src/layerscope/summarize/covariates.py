"""Covariates: quantities of a token whose products with activations are summed while the model runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerscope.stats.splines import spline_basis
from layerscope.stats.weighted_median import weighted_median
from layerscope.tokenize.token_shards import Tokens

ONE, POSITION = "one", "position"
SIDES = ("below", "above")
ROUNDING = 1e-12  # share of the largest value below which a standard deviation is rounding
NOTHING_LEFT = 1e-10  # share of a variance below which what is left of it is rounding


@dataclass(frozen=True)
class Covariates:
    """Covariates of token types; with each token's position, they are the covariates of tokens.

    Each is centred and scaled by its mean and standard deviation over the tokens counted in the corpus, which changes
    no correlation and preserves the digits of sums.
    """

    names: tuple[str, ...]  # of the columns: ``one`` is first, and ``position`` last
    of_types: np.ndarray  # [types, columns − 1], without ``position``; 0 for types that take part in no statistic

    @classmethod
    def of(
        cls, types: pd.DataFrame, properties: Mapping[str, np.ndarray], further: Mapping[str, np.ndarray] | None = None
    ) -> "Covariates":
        """The covariates: each property, and 1 for tokens below and above its median; frequency; the leading space.

        And last, before the position, each further property, its value alone.

        Frequency is the logarithm of 1 + the count in the corpus, and curves that span its splines together with it and
        a constant. They are orthogonal over 1 + count tokens of each type, so that types that were not counted do not
        stand out: splines are nearly combinations of each other, and residuals given them would multiply the rounding
        of float32 sums.

        Args:
            types: table of :mod:`layerscope.tokenize.frequency`.
            properties: name → value of each type, [types].
            further: likewise.
        """
        takes_part = ~(types["special"] | types["partial"]).to_numpy()
        counts = np.where(takes_part, types["corpus_count"], 0)
        log_frequency = np.log1p(types["corpus_count"].to_numpy())
        splines = spline_basis(log_frequency, counts) if counts.any() else log_frequency[:, None]
        line, *curves = orthogonal(
            [log_frequency, *splines.T[1:-1]], takes_part * (1 + types["corpus_count"].to_numpy())
        )
        columns = {ONE: np.ones(len(types))}
        for name, values in properties.items():
            side = np.sign(values - weighted_median(values, counts))
            columns[name] = scaled(values, counts)
            columns |= {f"{name}_{which}": side == sign for which, sign in zip(SIDES, (-1, 1), strict=True)}
        columns["log_frequency"] = line
        columns |= {f"frequency_spline_{i}": curve for i, curve in enumerate(curves, start=1)}
        columns["leading_space"] = scaled(types["leading_space"].to_numpy(np.float64), counts)
        columns |= {name: scaled(values, counts) for name, values in (further or {}).items()}
        return cls((*columns, POSITION), np.column_stack(list(columns.values())) * takes_part[:, None])

    def of_tokens(self, tokens: Tokens, sequence_length: int) -> np.ndarray:
        """[tokens, columns], float64; 0 for tokens that take part in no statistic."""
        of_types = self.of_types[tokens.input_ids]
        # A uniform distribution over L places has a standard deviation of about L / √12.
        position = (tokens.position - (sequence_length - 1) / 2) * (12**0.5 / sequence_length)
        return np.column_stack([of_types, position * of_types[:, 0]])


def scaled(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``values`` [types] minus their mean over tokens, over their standard deviation; only the former if that is 0.

    Args:
        counts: [types], tokens of each.
    """
    if not counts.any():
        return values
    centred = values - np.average(values, weights=counts)
    spread = np.sqrt(np.average(centred**2, weights=counts))
    # The mean of equal values is one of them but for rounding.
    return centred / spread if spread > ROUNDING * abs(values[counts > 0]).max() else centred


def orthogonal(variables: Iterable[np.ndarray], counts: np.ndarray) -> list[np.ndarray]:
    """``variables`` [types], scaled, each minus its projections on those before it, and scaled again (Gram–Schmidt).

    Without those that are a combination of those before them.
    """
    found: list[np.ndarray] = []
    for values in variables:
        left = scaled(values, counts)
        for of in 2 * found:  # twice, as rounding leaves some of them the first time
            left = left - of * np.average(of * left, weights=counts)
        if not found or np.average(left**2, weights=counts) > NOTHING_LEFT:
            found.append(scaled(left, counts))
    return found
