"""Run a model over a token shard and stream the activations of its sites into an activation shard."""

from pathlib import Path
from typing import Any

from layerscope.extract.background import BackgroundWriter
from layerscope.extract.disk_space import check_space, shard_bytes
from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.provenance import of_token_shard
from layerscope.model.forward import batch_size_of, describe, forward_batches, open_model
from layerscope.model.progress import Progress
from layerscope.tokenize.token_shards import read_token_shard


def extract_shard(
    token_shard: str,
    model_record: dict[str, Any],
    spec: dict[str, Any],
    device: str,
    threads: int,
    output: str | Path,
    shards: int = 0,
) -> dict[str, Any]:
    """Compute the sites ``spec["sites"]`` of every layer for the tokens of a shard and store them.

    Args:
        model_record: from :func:`layerscope.fetch.models.fetch_model`.
        spec: ``sites``, ``dtype``, ``batch_size``, ``storage_dtype``, ``compression``.
        device: auto, cpu or cuda.
        threads: how many cores may be used.
        output: path of the activation shard; its manifest is written beside it.
        shards: how many the sample has; those that are missing must have room on the disk, and this one in any case.

    Returns:
        The manifest: shape, digest and range of every dataset.

    Raises:
        UserError: no usable device, tokens that the model cannot take, values that are not finite, no
            room on the disk.
    """
    tokens, attributes = read_token_shard(token_shard)
    rows = tokens.input_ids.reshape(int(attributes["sequences"]), -1)
    length = rows.shape[1]
    model = open_model(model_record, spec["dtype"], device, threads, rows)
    size = shard_bytes(model.base.config, spec["sites"], len(tokens), spec["storage_dtype"])
    check_space(Path(output), shards, size, spec)
    batch_size = batch_size_of(spec["batch_size"], length, len(rows), model.device)
    described = of_token_shard(attributes) | describe(model, model_record, spec) | {"batch_size": batch_size}
    with (
        ActivationShardWriter(output, tokens, described, spec["storage_dtype"], spec["compression"]) as shard,
        BackgroundWriter(shard) as writer,
        Progress(len(tokens), model.name) as progress,
    ):
        for start, stop in forward_batches(model, rows, batch_size, spec["sites"], writer.put):
            progress.advance((stop - start) * length)
        writer.join()
        return shard.finish()
