"""Statistics of quantities over tokens, from their co-moments.

All are of the shape [..., layers], for groups of the shape [...]; NaN over no tokens, and where the quantity is NaN.
"""

import numpy as np

from layerscope.studies.path_length.comoments import CoMoments
from layerscope.studies.path_length.lengths import QUANTITIES


def mean(over: CoMoments, name: str) -> np.ndarray:
    """Mean of a quantity."""
    return np.where(over.tokens[..., None] > 0, over.means[..., QUANTITIES.index(name)], np.nan)


def std(over: CoMoments, name: str) -> np.ndarray:
    """Standard deviation (n − 1) of a quantity."""
    at = QUANTITIES.index(name)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(over.products[..., at, at] / np.maximum(over.tokens[..., None] - 1, 0))


def r(over: CoMoments, one: str, other: str) -> np.ndarray:
    """Pearson's r of two quantities; NaN where one does not vary."""
    i, j = QUANTITIES.index(one), QUANTITIES.index(other)
    products = over.products
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(products[..., i, j] / np.sqrt(products[..., i, i] * products[..., j, j]), -1, 1)
