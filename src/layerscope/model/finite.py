"""The error of values that are no numbers."""

import numpy as np

from layerscope.io.errors import UserError


def not_finite(model: str, site: str, layer: int, values: np.ndarray, of: str = "values") -> UserError:
    """The error that names where NaN or Inf were found, and how many of the values they are.

    Args:
        of: what each of ``values`` is of.
    """
    bad = values.size - np.count_nonzero(np.isfinite(values))
    return UserError(
        f"models.{model}: {site} of layer {layer} holds NaN or Inf in {bad:,} of {values.size:,} {of}; "
        "the weights are damaged, or extraction.dtype is too narrow for what it computes"
    )
