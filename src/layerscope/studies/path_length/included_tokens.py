"""The path lengths of the tokens that statistics include."""

from dataclasses import fields

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError
from layerscope.studies.path_length.path_shards import read_path_shards
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.vocabulary import takes_part


def read_included(paths: list[str], vocabulary: pd.DataFrame) -> tuple[dict[str, np.ndarray], Tokens]:
    """Quantities [layers, tokens] and tokens of a sample, without special tokens and pieces of UTF-8 characters.

    Args:
        paths: path-length shards of the sample, in order.
        vocabulary: table of the sample's tokenizer, of :mod:`layerscope.tokenize.vocabulary`.

    Raises:
        UserError: as :func:`read_path_shards`, or too few tokens are left for a correlation.
    """
    values, tokens = read_path_shards(paths, [vocabulary])
    included = takes_part(vocabulary, tokens.input_ids)
    if (tokens.position[included] > 0).sum() < 3:
        raise UserError(
            f"path_length: of the sample's {len(included)} tokens, fewer than three are neither special tokens, nor "
            "pieces of characters, nor the first of a sequence; use more text"
        )
    kept = Tokens(**{field.name: getattr(tokens, field.name)[included] for field in fields(tokens)})
    return {name: array[:, included] for name, array in values.items()}, kept
