"""Path lengths of a shard, reduced while the model runs or from stored streams."""

from typing import Any

import numpy as np
import torch

from layerscope.extract.activation_shards import ActivationShard, dataset_name
from layerscope.io.provenance import of_token_shard
from layerscope.io.records import ModelRecord
from layerscope.model.run import ComputeSpec, ModelRun, finite_values
from layerscope.studies.path_length.lengths import SITES, PathLengths, Values, join
from layerscope.tokenize.token_shards import Tokens, read_token_shard


def extract_paths(
    token_shard: str, model_record: ModelRecord, spec: ComputeSpec, device: str, threads: int
) -> tuple[Values, Tokens, dict[str, Any]]:
    """Run a model over a token shard and keep only the lengths of its streams.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: how the streams are computed.
        device: auto, cpu or cuda.
        threads: how many cores may be used.

    Returns:
        Quantities [layers, tokens], the tokens, and attributes that say how the values came about.

    Raises:
        UserError: a stream that is not finite.
    """
    tokens, attributes = read_token_shard(token_shard)
    rows = tokens.input_ids.reshape(int(attributes["sequences"]), -1)
    run = ModelRun(model_record, spec, device, threads, rows)
    reducer = PathReducer(run)
    run.reduce(reducer)
    return reducer.finish(), tokens, of_token_shard(attributes) | run.attributes


class PathReducer:
    """A mergeable reducer that keeps the path lengths of the streams."""

    sites = SITES

    def __init__(self, run: ModelRun) -> None:
        self.model = run.model
        self.lengths = PathLengths(run.model.layers, run.rows.size)

    @property
    def size(self) -> int:
        return sum(values.nbytes for values in self.lengths.values.values())

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        length = tensor.shape[1]
        values = finite_values(self.model, site, layer, tensor.flatten(0, 1))
        self.lengths.add(site, layer, values, slice(rows.start * length, rows.stop * length))

    def merge(self, *others: "PathReducer") -> None:
        self.lengths.values = join(reducer.lengths.values for reducer in (self, *others))

    def finish(self) -> Values:
        return self.lengths.values


def paths_of_stored(shard: str, layers: int) -> tuple[Values, Tokens, dict[str, Any]]:
    """The same from an activation shard that holds the streams; one layer at a time is in memory.

    Raises:
        UserError: the shard is damaged, or not that of its place or of its manifest.
    """
    with ActivationShard(shard) as stored:
        tokens = stored.tokens()
        lengths = PathLengths(layers, len(tokens))
        for layer in range(layers):
            for site in SITES if layer == 0 else SITES[1:]:
                values = stored.values(dataset_name(site, layer)).astype(np.float32, copy=False)
                lengths.add(site, layer, values, slice(0, len(tokens)))
    return lengths.values, tokens, {key: value for key, value in stored.attributes.items() if key != "format"}
