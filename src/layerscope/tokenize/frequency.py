"""How often each token occurs in a corpus."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from layerscope.tokenize.encoded_documents import EncodedDocuments


def frequency_table(parts: Iterable[EncodedDocuments], tokens: int, size: int) -> pd.DataFrame:
    """Count tokens, document by document, until at least ``tokens`` are counted or the corpus ends.

    Args:
        parts: those that hold so many tokens, from the first on.
        size: largest token id + 1.

    Returns:
        One row per token id, in order: ``token_id``, ``count``.
    """
    counts = np.zeros(size, dtype=np.int64)
    seen = 0
    for part in parts:
        ends = part.first_token + part.ends
        # Up to the end of the document in which the last token is.
        stop = int(ends[: np.searchsorted(ends, tokens) + 1].max(initial=seen))
        counts += np.bincount(part.input_ids[seen - part.first_token : stop - part.first_token], minlength=size)
        seen = stop
    return pd.DataFrame({"token_id": np.arange(size, dtype=np.int32), "count": counts})
