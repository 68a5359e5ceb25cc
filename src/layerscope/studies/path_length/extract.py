"""Path lengths of a shard, reduced while the model runs or from stored streams."""

from typing import Any

import numpy as np
import torch

from layerscope.extract.activation_shards import ActivationShard, dataset_name
from layerscope.io.provenance import of_token_shard
from layerscope.model.forward import batch_size_of, describe, finite_values, forward_batches, open_model
from layerscope.model.hooks import blocks_of
from layerscope.model.progress import Progress
from layerscope.studies.path_length.lengths import SITES, PathLengths
from layerscope.tokenize.token_shards import Tokens, read_token_shard


def extract_paths(
    token_shard: str, model_record: dict[str, Any], spec: dict[str, Any], device: str, threads: int
) -> tuple[dict[str, np.ndarray], Tokens, dict[str, Any]]:
    """Run a model over a token shard and keep only the lengths of its streams.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: ``dtype``, ``batch_size``.
        device: auto, cpu or cuda.
        threads: how many cores may be used.

    Returns:
        Quantities [layers, tokens], the tokens, and attributes that say how the values came about.

    Raises:
        UserError: a stream that is not finite.
    """
    tokens, attributes = read_token_shard(token_shard)
    rows = tokens.input_ids.reshape(int(attributes["sequences"]), -1)
    length = rows.shape[1]
    model = open_model(model_record, spec["dtype"], device, threads, rows)
    batch_size = batch_size_of(spec["batch_size"], length, len(rows), model.device)
    lengths = PathLengths(len(blocks_of(model.base, model.architecture)), len(tokens))
    done = 0

    def receive(site: str, layer: int, tensor: torch.Tensor) -> None:
        values = finite_values(model, site, layer, tensor.flatten(0, 1))
        lengths.receive(site, layer, values, done * length)

    with Progress(len(tokens), model.name) as progress:
        for start, stop in forward_batches(model, rows, batch_size, list(SITES), receive):
            progress.advance((stop - start) * length)
            done = stop
    described = of_token_shard(attributes) | describe(model, model_record, spec) | {"batch_size": batch_size}
    return lengths.values, tokens, described


def paths_of_stored(shard: str, layers: int) -> tuple[dict[str, np.ndarray], Tokens, dict[str, Any]]:
    """The same from an activation shard that holds the streams; a layer at a time is in memory.

    Raises:
        UserError: the shard is damaged, or not that of its place or of its manifest.
    """
    with ActivationShard(shard) as stored:
        tokens = stored.tokens()
        lengths = PathLengths(layers, len(tokens))
        for layer in range(layers):
            for site in SITES if layer == 0 else SITES[1:]:
                values = stored.dataset(dataset_name(site, layer))[:].astype(np.float32, copy=False)
                lengths.receive(site, layer, values, 0)
    return lengths.values, tokens, {key: value for key, value in stored.attributes.items() if key != "format"}
