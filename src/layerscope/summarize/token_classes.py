"""Classes of tokens, of which a summary keeps sums: each frequent type by itself, and the others together."""

import numpy as np
import pandas as pd

NO_CLASS = -1  # of tokens that take part in no statistic


def token_classes(types: pd.DataFrame, most: int) -> np.ndarray:
    """The class of each token type: [types], int32.

    Each of the ``most`` types that are most frequent in the corpus is a class by itself, with its token id as the
    number. Others share the class of their length and leading space, ``len(types) + 2 * characters + leading_space``.
    The sample plays no part in it, so that classes stay when it grows.

    Args:
        types: table of :mod:`layerscope.tokenize.frequency`.
        most: how many types have a class of their own.
    """
    of_length = len(types) + 2 * types["characters"] + types["leading_space"]
    classes = of_length.to_numpy(np.int32, copy=True)
    takes_part = ~(types["special"] | types["partial"]).to_numpy()
    by_count = np.argsort(-types["corpus_count"].to_numpy(), kind="stable")
    frequent = by_count[takes_part[by_count]][:most]
    classes[frequent] = frequent
    classes[~takes_part] = NO_CLASS
    return classes
