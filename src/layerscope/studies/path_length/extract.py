"""Path lengths of a shard, reduced while the model runs or from stored streams."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from layerscope.extract.activation_shards import ActivationShard, dataset_name
from layerscope.io.provenance import check_same_run, of_token_shard
from layerscope.io.records import ModelRecord
from layerscope.model.run import ComputeSpec, ModelRun
from layerscope.studies.path_length.lengths import SITES, Values, join
from layerscope.studies.path_length.reduce_streams import PathLengths
from layerscope.tokenize.token_shards import Tokens, read_token_shard
from layerscope.tokenize.vocabulary import takes_part

Reduced = tuple[Values, Tokens, np.ndarray, dict[str, Any]]


def extract_paths(
    token_shard: str, types: pd.DataFrame, model_record: ModelRecord, spec: ComputeSpec, device: str, threads: int
) -> Reduced:
    """Run a model over a token shard and keep only the lengths of its streams.

    Args:
        types: the types of tokens, from :func:`layerscope.tokenize.frequency.frequency_table`.
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: how the streams are computed.
        device: auto, cpu or cuda.
        threads: how many cores may be used.

    Returns:
        Quantities [layers, tokens], the tokens, which of them take part in statistics ([tokens], bool), and attributes
        that say how the values came about.

    Raises:
        UserError: a stream that is not finite, or shard and types are not of one run.
    """
    tokens, attributes = read_token_shard(token_shard, [types])
    rows = tokens.input_ids.reshape(int(attributes["sequences"]), -1)
    run = ModelRun(model_record, spec, device, threads, rows)
    reducer = PathReducer(run)
    run.reduce(reducer)
    return reducer.finish(), tokens, takes_part(types, tokens.input_ids), of_token_shard(attributes) | run.attributes


class PathReducer:
    """A mergeable reducer that keeps the path lengths of the streams."""

    sites = SITES

    def __init__(self, run: ModelRun) -> None:
        self.lengths = PathLengths(run.model.name, run.model.layers, run.rows.size)

    @property
    def size(self) -> int:
        return sum(values.nbytes for values in self.lengths.quantities.values())

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        length = tensor.shape[1]
        self.lengths.add(site, layer, tensor.flatten(0, 1), slice(rows.start * length, rows.stop * length))

    def merge(self, *others: "PathReducer") -> None:
        self.lengths.quantities = join(reducer.lengths.quantities for reducer in (self, *others))

    def finish(self) -> Values:
        return self.lengths.quantities


def paths_of_stored(shard: str, types: pd.DataFrame, layers: int) -> Reduced:
    """The same from an activation shard that holds the streams; one layer at a time is in memory.

    Raises:
        UserError: the shard is damaged, or not that of its place or of its manifest, or not of the run of ``types``.
    """
    with ActivationShard(shard) as stored:
        attributes, tokens = stored.attributes, stored.tokens()
        check_same_run({shard: attributes}, [types.attrs], parts=True)
        lengths = PathLengths(str(attributes.get("model")), layers, len(tokens))
        for layer in range(layers):
            for site in SITES if layer == 0 else SITES[1:]:
                stream = torch.from_numpy(stored.values(dataset_name(site, layer)))
                lengths.add(site, layer, stream, slice(0, len(tokens)))
    attributes = {key: value for key, value in attributes.items() if key != "format"}
    return lengths.quantities, tokens, takes_part(types, tokens.input_ids), attributes
