"""Lengths of the sample's tokens, document by document."""

import pandas as pd

from layerscope.studies.token_length.length_groups import token_lengths
from layerscope.tokenize.token_shards import Tokens


def lengths_by_document(vocabulary: pd.DataFrame, tokens: Tokens) -> pd.DataFrame:
    """How many tokens of each length each document holds: ``document``, ``length``, ``count``."""
    sample = token_lengths(vocabulary, tokens.input_ids)
    table = pd.DataFrame({"document": tokens.document[sample.keep], "length": sample.lengths})
    return table.value_counts(sort=False).reset_index()
