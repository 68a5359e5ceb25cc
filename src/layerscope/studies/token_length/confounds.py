"""Confounds of token length: the token's frequency, its leading space and its position in the sequence."""

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from layerscope.studies.token_length.length_groups import token_lengths
from layerscope.tokenize.token_shards import Tokens

CONFOUNDS = ("log_frequency", "leading_space", "position")


def confounds_of(vocabulary: pd.DataFrame, tokens: Tokens) -> pd.DataFrame:
    """The confounds, one row per token.

    Args:
        vocabulary: table of :mod:`layerscope.tokenize.vocabulary`.

    Returns:
        ``log_frequency``, natural logarithm of 1 + the token's count in the corpus (1, because a token of the sample
        may lie beyond what was counted); ``leading_space``, 0 or 1; ``position`` in the sequence, from 0.
    """
    ids = tokens.input_ids
    return pd.DataFrame(
        {
            "log_frequency": np.log1p(vocabulary["corpus_count"].to_numpy())[ids],
            "leading_space": vocabulary["leading_space"].to_numpy()[ids].astype(np.float64),
            "position": tokens.position.astype(np.float64),
        }
    )


def sample_confounds(vocabulary: pd.DataFrame, tokens: Tokens) -> pd.DataFrame:
    """:func:`confounds_table` of the tokens of a sample that take part in the statistics."""
    sample = token_lengths(vocabulary, tokens.input_ids)
    confounds = confounds_of(vocabulary, tokens)[sample.keep]
    return confounds_table(sample.lengths, tokens.input_ids[sample.keep], confounds)


def confounds_table(lengths: np.ndarray, types: np.ndarray, confounds: pd.DataFrame) -> pd.DataFrame:
    """Correlation of length with each confound, over tokens and over types.

    Args:
        lengths: [tokens], characters.
        types: [tokens], token ids.
        confounds: their rows of :func:`confounds_of`.

    Returns:
        One row per confound: ``confound``, ``pearson``, ``spearman`` (over tokens), ``pearson_types`` and
        ``spearman_types`` (over different tokens, position averaged), ``tokens``, ``types``. NaN for a confound that
        does not vary.
    """
    of_types = confounds.assign(length=lengths).groupby(types).mean()
    rows = []
    for name in CONFOUNDS:
        row: dict[str, object] = {"confound": name}
        for suffix, x, y in (("", lengths, confounds[name]), ("_types", of_types["length"], of_types[name])):
            varies = np.ptp(y) > 0
            row[f"pearson{suffix}"] = pearsonr(x, y).statistic if varies else np.nan
            row[f"spearman{suffix}"] = spearmanr(x, y).statistic if varies else np.nan
        rows.append(row | {"tokens": len(lengths), "types": len(of_types)})
    return pd.DataFrame(rows)
