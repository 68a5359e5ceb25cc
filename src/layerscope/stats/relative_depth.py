"""Depth that is comparable across models with different numbers of layers."""

import numpy as np


def relative_depths(layers: int) -> np.ndarray:
    """:func:`relative_depth` of all layers, in order: [layers]."""
    return np.linspace(0, 1, layers)


def relative_depth(layer: int, layers: int) -> float:
    """0 of the first of ``layers``, 1 of the last; 0 where there is one."""
    return layer / (layers - 1) if layers > 1 else 0.0
