"""Run a model over a token shard and stream the activations of its sites into an activation shard."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from layerscope.extract.background import BackgroundWriter
from layerscope.extract.disk_space import shard_bytes, smaller
from layerscope.extract.writer import ActivationShardWriter, StorageSpec
from layerscope.io.disk_space import check_space
from layerscope.io.provenance import of_token_shard
from layerscope.io.records import ModelRecord
from layerscope.model.run import ComputeSpec, ModelRun
from layerscope.tokenize.token_shards import Tokens, read_token_shard


class ExtractionSpec(ComputeSpec, StorageSpec):
    sites: list[str]  # of every layer


def extract_shard(
    token_shard: str,
    model_record: ModelRecord,
    spec: ExtractionSpec,
    device: str,
    threads: int,
    output: str | Path,
    shards: int = 0,
    part: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Compute the sites ``spec["sites"]`` of every layer for the tokens of a shard and store them.

    Args:
        token_shard: path of the token shard that holds the tokens.
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: what is computed and stored, and how.
        device: auto, cpu or cuda.
        threads: how many cores may be used.
        output: path of the activation shard; its manifest is written beside it.
        shards: how many the stored sample has; those that are missing must have room on the disk, and this one in any
            case.
        part: number of this shard, and of its sequences, where it holds a part of the token shard; else all of it.

    Returns:
        The manifest: shape, digest and range of every dataset.

    Raises:
        UserError: no usable device, tokens that the model cannot take, values that are not finite, no
            room on the disk.
    """
    tokens, attributes = stored_tokens(token_shard, part)
    rows = tokens.input_ids.reshape(int(attributes["sequences"]), -1)
    run = ModelRun(model_record, spec, device, threads, rows)
    size = shard_bytes(run.model, spec["sites"], len(tokens), spec["storage_dtype"])
    check_space(Path(output), shards, size, "activation shards", smaller(spec))
    with ActivationStore(output, tokens, attributes | run.attributes, spec, size, run.model.device) as store:
        run.reduce(store)
        return store.finish()


def stored_tokens(token_shard: str, part: tuple[int, int] | None) -> tuple[Tokens, dict[str, Any]]:
    """The tokens of a shard of the stored sample, and the attributes that say so; see :func:`extract_shard`."""
    tokens, attributes = read_token_shard(token_shard)
    attributes = of_token_shard(attributes)
    attributes["token_shard"] = attributes["shard"]
    if part is not None:
        shard, sequences = part
        length, before = attributes["sequence_length"], attributes["token_shard"] * attributes["sequences"]
        first = (shard * sequences - before) * length
        tokens = tokens.part(first, first + sequences * length)
        attributes |= {"shard": shard, "sequences": sequences}
    return tokens, attributes


class ActivationStore:
    """A reducer that stores its sites in an activation shard, in a thread of its own. Use as a context manager.

    Args:
        output: path of the shard; its manifest is written beside it.
        tokens: of all rows of the run.
        attributes: of the shard, which say how its values came about.
        spec: as for :func:`extract_shard`.
        size: bytes of the shard, from :func:`layerscope.extract.disk_space.shard_bytes`.
        device: where the model runs.
    """

    def __init__(
        self,
        output: str | Path,
        tokens: Tokens,
        attributes: dict[str, Any],
        spec: ExtractionSpec,
        size: int,
        device: torch.device,
    ) -> None:
        self.sites, self.size = spec["sites"], size
        self.shard = ActivationShardWriter(output, tokens, attributes, spec["storage_dtype"], spec["compression"])
        self.writer = BackgroundWriter(self.shard, device)
        self.opened = ExitStack()

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        self.writer.put(site, layer, tensor)

    def finish(self) -> dict[str, Any]:
        """The shard's manifest.

        Raises:
            UserError: values that are not finite or too large to store, or what is on disk is not what was written.
        """
        self.writer.join()
        return self.shard.finish()

    def __enter__(self) -> "ActivationStore":
        with ExitStack() as stack:
            stack.enter_context(self.shard)
            stack.enter_context(self.writer)
            self.opened = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.opened.close()
