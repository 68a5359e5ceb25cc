"""How often each token occurs in a corpus."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from layerscope.tokenize.tokenizer import LoadedTokenizer


def frequency_table(tokenizer: LoadedTokenizer, documents: Iterable[np.ndarray], tokens: int) -> pd.DataFrame:
    """Count tokens, document by document, until at least ``tokens`` are counted or the corpus ends.

    Args:
        documents: token ids of each.

    Returns:
        One row per token id, in order: ``token_id``, ``count``.
    """
    counts = np.zeros(tokenizer.size, dtype=np.int64)
    for ids in documents:
        counts += np.bincount(ids, minlength=len(counts))
        if counts.sum() >= tokens:
            break
    return pd.DataFrame({"token_id": np.arange(len(counts), dtype=np.int32), "count": counts})
