"""Weights of the neurons of one layer to two tables: their sizes, and the tokens that each promotes."""

import numpy as np
import pandas as pd
import torch

from layerscope.model.neuron_weights import NeuronWeights, extreme_logits
from layerscope.studies.token_length.token_types import TYPES_KEPT


def describe_weights(
    model: NeuronWeights, layer: int, unembedding: torch.Tensor | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The weights of the neurons of a layer.

    Args:
        model: their model.
        layer: which one.
        unembedding: of :meth:`NeuronWeights.unembedding`.

    Returns:
        One row per neuron: ``neuron``, ``norm_in``, ``norm_out``, ``cosine_in_out``. And one row per neuron, ``kind``
        (``promoted``, ``suppressed``) and ``rank`` from 0: ``neuron``, ``kind``, ``rank``, ``token_id`` and ``logit``,
        what one unit of the neuron's output adds to the logit of the token, directly; no rows without an unembedding.
    """
    weights = model.layer(layer)
    neurons = np.arange(len(weights.out), dtype=np.int32)
    columns = {name: values.numpy() for name, values in weights.norms_and_cosine().items()}
    return pd.DataFrame({"neuron": neurons} | columns), _logits(weights.out, unembedding)


def _logits(out: torch.Tensor, unembedding: torch.Tensor | None) -> pd.DataFrame:
    tables = []
    found = {} if unembedding is None else extreme_logits(out, unembedding, TYPES_KEPT)
    for kind, (logits, types) in found.items():
        neurons, count = logits.shape
        tables.append(_table(np.arange(neurons).repeat(count), kind, types.numpy(), logits.numpy()))
    if not tables:
        return _table(np.empty(0), "promoted", np.empty((0, 0)), np.empty((0, 0)))
    return pd.concat(tables).sort_values("neuron", kind="stable", ignore_index=True)


def _table(neuron: np.ndarray, kind: str, types: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
    """One row per neuron and token type, of ``types`` and ``logits`` [neurons, count]."""
    return pd.DataFrame(
        {
            "neuron": neuron.astype(np.int32),
            "kind": kind,
            "rank": np.tile(np.arange(types.shape[1], dtype=np.int8), len(types)),
            "token_id": types.ravel().astype(np.int32),
            "logit": logits.ravel().astype(np.float32),
        }
    )
