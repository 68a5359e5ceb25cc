"""The summary of a token shard: of a model that runs, or of activations that are stored."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd
import torch

from layerscope.extract.activation_shards import ActivationShard, dataset_name
from layerscope.io.disk_space import check_space
from layerscope.io.errors import UserError, damaged
from layerscope.io.provenance import check_same_run, of_token_shard
from layerscope.io.records import ModelRecord
from layerscope.model.run import ComputeSpec, ModelRun
from layerscope.summarize.covariates import Covariates
from layerscope.summarize.reducer import SummaryReducer
from layerscope.summarize.summary_shards import LayerSummary, write_summary
from layerscope.summarize.token_classes import token_classes
from layerscope.tokenize.property_names import LENGTH
from layerscope.tokenize.token_properties import PropertySpec, token_properties
from layerscope.tokenize.token_shards import Tokens, read_token_shard

# Attributes of activation shards that a summary does not have.
NOT_OF_SUMMARY = {"format", "shard", "token_shard", "sequences", "storage_dtype"}


class SummarySpec(TypedDict):
    """What a summary keeps."""

    site: str
    token_types: int  # that have sums of their own
    properties: NotRequired[PropertySpec]  # further covariates


def summarize_run(
    token_shard: str,
    types: pd.DataFrame,
    record: ModelRecord,
    compute: ComputeSpec,
    spec: SummarySpec,
    device: str,
    threads: int,
    output: str | Path,
    shards: int = 0,
) -> None:
    """Run a model over a token shard and write the summary of a site of every layer.

    Args:
        types: table of :mod:`layerscope.tokenize.frequency`.
        record: of the model, from :func:`layerscope.fetch.models.fetch_model`.
        compute: how activations are computed.
        device: auto, cpu or cuda.
        threads: how many cores may be used.
        output: path of the summary.
        shards: how many the sample has; those that are missing must have room on the disk, and this one in any case.

    Raises:
        UserError: no usable device, tokens that the model cannot take, values that are not finite, no room on the disk.
    """
    tokens, attributes = read_token_shard(token_shard, [types])
    rows = tokens.input_ids.reshape(int(attributes["sequences"]), -1)
    run = ModelRun(record, compute, device, threads, rows)
    neurons = run.model.layers * run.model.width(spec["site"])
    reducer = reducer_of(spec, tokens, attributes, types, record["name"], neurons)
    check_room(output, shards, reducer)
    run.reduce(reducer)
    write(output, spec, reducer, of_token_shard(attributes) | run.attributes)


def summarize_stored(
    activation_shards: Sequence[str],
    token_shard: str,
    types: pd.DataFrame,
    layers: int,
    spec: SummarySpec,
    threads: int,
    output: str | Path,
    shards: int = 0,
) -> None:
    """Write the summary of a token shard all of whose activations are stored, as :func:`summarize_run` does.

    Args:
        activation_shards: those of the token shard, in order.
        layers: of the model.
        threads: how many cores may be used.
        output: path of the summary.
        shards: as for :func:`summarize_run`.

    Raises:
        UserError: a shard is damaged, or not that of its place or of its manifest, or of another run; no room on the
            disk.
    """
    torch.set_num_threads(threads)
    tokens, attributes = read_token_shard(token_shard, [types])
    with ActivationShard(activation_shards[0]) as shard:
        width = shard.reading_pass(dataset_name(spec["site"], 0)).dataset.shape[1]
    reducer = reducer_of(spec, tokens, attributes, types, "", layers * width)
    check_room(output, shards, reducer)
    length, first, of_run = int(attributes["sequence_length"]), 0, {}
    for path in activation_shards:
        with ActivationShard(path) as shard:
            of_run = {key: value for key, value in shard.attributes.items() if key not in NOT_OF_SUMMARY}
            check_same_run({path: shard.attributes}, [attributes], parts=True)
            sequences = int(shard.attributes["sequences"])
            if shard.tokens() != tokens.part(first * length, (first + sequences) * length):
                raise damaged(path, f"its tokens are not those of its place in {token_shard}")
            batch = int(shard.attributes["batch_size"])
            for layer in range(layers):
                reading_pass = shard.reading_pass(dataset_name(spec["site"], layer))
                for start in range(0, sequences, batch):
                    count = min(batch, sequences - start)
                    values = reading_pass.rows(count * length).reshape(count, length, -1)
                    rows = slice(first + start, first + start + count)
                    reducer.receive(spec["site"], layer, torch.from_numpy(values), rows)
        first += sequences
    if first * length != len(tokens):
        raise UserError(f"{token_shard}: the activations of only {first} of its sequences are given")
    write(output, spec, reducer, of_run | of_token_shard(attributes))


def reducer_of(
    spec: SummarySpec, tokens: Tokens, attributes: Mapping[str, Any], types: pd.DataFrame, model: str, neurons: int
) -> SummaryReducer:
    """The reducer of the tokens of a shard.

    Raises:
        UserError: the table of properties cannot be used, or lacks a type.
    """
    further = {}
    if "properties" in spec:
        further = token_properties(spec["properties"], types, np.bincount(tokens.input_ids, minlength=len(types)))
    covariates = Covariates.of(types, {LENGTH: types[LENGTH].to_numpy(np.float64)}, further)
    classes = token_classes(types, spec["token_types"])
    return SummaryReducer(spec["site"], model, tokens, int(attributes["sequence_length"]), classes, covariates, neurons)


def check_room(output: str | Path, shards: int, reducer: SummaryReducer) -> None:
    """Check that the summaries that are missing have room on the disk.

    Raises:
        UserError: they do not.
    """
    fewer = "lower summaries.token_types, or set a larger sampling.sequences_per_shard (fewer summaries)"
    check_space(Path(output), shards, reducer.size, "summaries", fewer)


def write(output: str | Path, spec: SummarySpec, reducer: SummaryReducer, attributes: dict[str, Any]) -> None:
    """Write what a reducer received."""
    attributes |= {"token_types": spec["token_types"], "covariates": " ".join(reducer.covariates.names)}
    if "properties" in spec and (table := spec["properties"]["table"]):
        attributes["properties_digest"] = table["digest"]
    write_summary(output, spec["site"], *reducer.finish(), attributes)


def summary_of_values(
    values: np.ndarray, tokens: Tokens, sequence_length: int, types: pd.DataFrame, token_types: int
) -> LayerSummary:
    """The summary of activations [tokens, neurons] that are at hand, as of one layer; in float64 if they are.

    Args:
        types: table of :mod:`layerscope.tokenize.frequency`.
    """
    attributes = {"sequence_length": sequence_length}
    reducer = reducer_of({"site": "", "token_types": token_types}, tokens, attributes, types, "", values.shape[1])
    rows = torch.from_numpy(values).unflatten(0, (-1, sequence_length))
    reducer.receive("", 0, rows, slice(0, len(rows)))
    sums, layers = reducer.finish()
    names = " ".join(reducer.covariates.names)
    return LayerSummary({"token_types": token_types, "covariates": names}, sums, layers[0])
