"""How many tokens of a batch a GPU has room for; in a module that is cheap to import, since the estimate asks too."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerscope.model.loading import LoadedModel

SHARE = 0.5  # of the free memory; the rest is for what reducers hold, and for what allocation wastes
# Tensors of a block that exist at a time at most: of the stream's width, and of the MLP's.
STREAMS, MLPS = 12, 4
SCORES = 3  # of attention, as large as heads x length for each token, where they are not computed in parts


def tokens_that_fit(model: "LoadedModel", length: int) -> float:
    """Tokens of a batch for which the memory is enough that is free once the model is loaded; no limit on a CPU.

    Args:
        length: of a sequence, in tokens.
    """
    if model.device.type == "cpu":
        return math.inf
    import torch

    free, _ = torch.cuda.mem_get_info(model.device)
    return SHARE * free / bytes_of_token(model, length)


def bytes_of_token(model: "LoadedModel", length: int) -> int:
    """Bytes that a forward pass needs for each token of its batch, at most."""
    numbers = STREAMS * model.width("resid_pre") + MLPS * model.width("mlp_pre")
    if model.attention == "eager":
        numbers += SCORES * int(model.config[model.architecture.names.heads]) * length
    return numbers * max(4, model.dtype.itemsize)  # norms and the softmax compute in float32
