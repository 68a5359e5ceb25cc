"""The quantities of the study, and arrays of them.

For a stream x, the path length of layer l and token t is PL_x[l, t] = ‖x[l, t] − x[l−1, t]‖₂. The streams are attn_out,
mlp_out and resid_post. Before layer 0 the residual stream is what enters it (resid_pre); the two others have nothing
there, and their path length is NaN.
"""

from collections.abc import Iterable

import numpy as np

SITES = ("resid_pre", "attn_out", "mlp_out", "resid_post")
# Path lengths, the steps ‖attn_out‖ and ‖mlp_out‖, and the cosine between attn_out and mlp_out.
QUANTITIES = ("path_attn", "path_mlp", "path_resid", "step_attn", "step_mlp", "cosine_attn_mlp")

Values = dict[str, np.ndarray]  # each of QUANTITIES, float32 [layers, tokens]


def join(parts: Iterable[Values]) -> Values:
    """Quantities of several shards, in order, as those of one."""
    parts = list(parts)
    return {name: np.concatenate([values[name] for values in parts], axis=1) for name in QUANTITIES}


def chosen(values: Values, tokens: np.ndarray | slice) -> Values:
    """Quantities of some of the tokens: an index, a mask or a slice."""
    return {name: array[:, tokens] for name, array in values.items()}
