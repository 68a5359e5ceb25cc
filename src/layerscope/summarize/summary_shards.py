"""Summary shards: one HDF5 file per model, corpus and token shard, with the sums of every layer of one site.

``/tokens`` holds what is known of tokens alone (:class:`TokenSums`), ``/{site}/layer_{layer}`` the sums of the neurons
of a layer (:class:`NeuronSums`). The root attributes say everything needed to understand the file alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader, dataset_name
from layerscope.io.errors import reading
from layerscope.io.hdf5 import new_hdf5, open_hdf5, read_dataset, read_root_attributes, write_dataset
from layerscope.io.provenance import check_same_run
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.token_sums import TokenSums

FORMAT = "layerscope summary 2"
PLACE = "summaries/{model}/{corpus}/shard_{shard:04d}.h5"

Sums = TypeVar("Sums", TokenSums, NeuronSums)


def write_summary(
    path: str | Path, site: str, tokens: TokenSums, layers: Mapping[int, NeuronSums], attributes: dict[str, Any]
) -> None:
    """Write the summary of a shard; activations and their sums as float32, unless they are float64, but for windows."""
    with new_hdf5(path, {"format": FORMAT, "site": site, **attributes}) as file:
        group = file.create_group("tokens")
        for field in fields(tokens):
            write_dataset(group, field.name, getattr(tokens, field.name))
        for layer, sums in layers.items():
            group = file.create_group(dataset_name(site, layer))
            for field in fields(sums):
                values = getattr(sums, field.name)
                exact = values.dtype != np.float64 or sums.pilot.dtype == np.float64
                write_dataset(group, field.name, values if exact else values.astype(np.float32, copy=False))


@dataclass(frozen=True)
class LayerSummary:
    """The summary of one layer over all tokens of a sample."""

    attributes: dict[str, Any]  # of the first shard
    tokens: TokenSums
    neurons: NeuronSums

    @property
    def covariates(self) -> list[str]:
        """Names of the covariates, in their order."""
        return str(self.attributes["covariates"]).split()


def read_layer_summary(
    paths: Sequence[str], layer: int, tables: Sequence[pd.DataFrame] = (), stored: LayerReader | None = None
) -> LayerSummary:
    """The summaries of a layer, merged over the shards of a sample in their order.

    Args:
        tables: tables of the sample's tokens that the summaries are to meet.
        stored: the stored sample that they are to meet.

    Raises:
        UserError: a shard is damaged, or not that of its place, or shards and tables are not of one run.
    """
    # One file at a time: thousands of shards are more than the files that a process may open, and memory does not grow.
    attributes = {path: read_root_attributes(path, {FORMAT: PLACE}) for path in paths}
    others = [table.attrs for table in tables]
    if stored is not None:
        of_stored = {name: value for name, value in stored.attributes.items() if name != "sequences"}
        others.append({**of_stored, "path": stored.paths[0]})
    check_same_run(attributes, others)
    tokens: list[TokenSums] = []
    merged: list[TokenSums] = []
    for path in paths:
        part = _read(path, "tokens", TokenSums)
        merged = [TokenSums.merge([*merged, part])]
        tokens.append(part.without_class_products())
    parts = (_read(path, dataset_name(of["site"], layer), NeuronSums) for path, of in attributes.items())
    return LayerSummary(attributes[paths[0]], merged[0], NeuronSums.merge(tokens, parts, merged[0]))


def _read(path: str, name: str, kind: type[Sums]) -> Sums:
    with reading(path, name), open_hdf5(path, {FORMAT: PLACE}) as (file, _):
        return kind(**{field.name: read_dataset(file[name], field.name) for field in fields(kind)})
