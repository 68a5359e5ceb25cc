"""Summary shards: one HDF5 file per model, corpus, site and token shard, with the sums of every layer of that site.

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
from layerscope.io.errors import damaged, reading
from layerscope.io.hdf5 import new_hdf5, open_hdf5, read_dataset, read_root_attributes, write_dataset
from layerscope.io.provenance import check_same_run
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.token_sums import TokenSums

FORMAT = "layerscope summary 2"
BY_DEFAULT = "mlp_pre"  # whose summaries are in the folder of model and corpus; those of others have folders in it

Sums = TypeVar("Sums", TokenSums, NeuronSums)


def folder_of(site: str) -> str:
    """What comes between the folder of a model and corpus and the names of the summaries of a site."""
    return "" if site == BY_DEFAULT else f"{site}/"


def place_of(site: str) -> str:
    """Where the summaries of a site are, with their model, corpus and shard in braces."""
    return f"summaries/{{model}}/{{corpus}}/{folder_of(site)}shard_{{shard:04d}}.h5"


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
    paths: Sequence[str],
    layer: int,
    tables: Sequence[pd.DataFrame] = (),
    stored: LayerReader | None = None,
    site: str = BY_DEFAULT,
) -> LayerSummary:
    """The summaries of a layer, merged over the shards of a sample in their order.

    Args:
        tables: tables of the sample's tokens that the summaries are to meet.
        stored: the stored sample that they are to meet.
        site: which they are of.

    Raises:
        UserError: a shard is damaged, of another site, or not that of its place, or shards and tables are not of one
            run.
    """
    places = {FORMAT: place_of(site)}
    # One file at a time: thousands of shards are more than the files that a process may open, and memory does not grow.
    attributes = {path: read_root_attributes(path, places) for path in paths}
    for path, of in attributes.items():
        if of["site"] != site:
            raise damaged(path, f"it is the summary of {of['site']}, not of {site}")
    others = [table.attrs for table in tables]
    if stored is not None:
        of_stored = {name: value for name, value in stored.attributes.items() if name != "sequences"}
        others.append({**of_stored, "path": stored.paths[0]})
    check_same_run(attributes, others)
    tokens: list[TokenSums] = []
    merged: list[TokenSums] = []
    for path in paths:
        part = _read(path, places, "tokens", TokenSums)
        merged = [TokenSums.merge([*merged, part])]
        tokens.append(part.without_class_products())
    parts = (_read(path, places, dataset_name(site, layer), NeuronSums) for path in paths)
    return LayerSummary(attributes[paths[0]], merged[0], NeuronSums.merge(tokens, parts, merged[0]))


def _read(path: str, places: Mapping[str, str], name: str, kind: type[Sums]) -> Sums:
    with reading(path, name), open_hdf5(path, places) as (file, _):
        return kind(**{field.name: read_dataset(file[name], field.name) for field in fields(kind)})
