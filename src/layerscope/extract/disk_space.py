"""Whether activation shards have room on the disk, before hours go into computing them."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from layerscope.extract.writer import CHUNK
from layerscope.io.errors import UserError


def site_width(config: Any, site: str) -> int:
    """Numbers that a site has for each token, from the configuration that transformers holds of a model."""
    hidden = config.hidden_size
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or hidden // heads
    if site in ("mlp_pre", "mlp_post"):
        return getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * hidden
    if site in ("q", "k", "v"):
        return head * (heads if site == "q" else getattr(config, "num_key_value_heads", None) or heads)
    return hidden


def shard_bytes(config: Any, sites: list[str], tokens: int, storage_dtype: str) -> int:
    """Bytes of an activation shard that is not compressed: sites x layers x tokens x width x bytes a number.

    HDF5 stores whole chunks, so tokens and width count up to the next chunk.
    """
    rows = min(CHUNK[0], tokens)
    tokens = -(-tokens // rows) * rows
    numbers = 0
    for site in sites:
        width = site_width(config, site)
        columns = min(CHUNK[1], width)
        numbers += config.num_hidden_layers * tokens * -(-width // columns) * columns
    return numbers * np.dtype(storage_dtype).itemsize


def check_space(output: Path, shards: int, size: int, spec: dict[str, Any]) -> None:
    """Hold what the shards that are still missing will take against the free space of their folder.

    At the start of each extraction, and not before any job: only then is the configuration of a model on the hub there,
    and the space is that of the machine that writes. Compressed shards are smaller by an amount that depends on the
    values; they may try.

    Args:
        output: the shard that is about to be written.
        shards: how many the sample has.
        size: bytes of one, from :func:`shard_bytes`.
        spec: ``storage_dtype``, ``compression``.

    Raises:
        UserError: they have no room.
    """
    folder = output.parent
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"shard_{shard:04d}{output.suffix}" for shard in range(shards)}
    missing = len(names - {path.name for path in folder.iterdir()} | {output.name})
    # What jobs beside this one have written of theirs is no longer free.
    begun = sum(map(_size, folder.glob(f".*.partial{output.suffix}")))
    needed, free = missing * size - begun, shutil.disk_usage(folder).free
    logging.info("%d shards of %s to be written in %s, %s free", missing, _shown(size), folder, _shown(free))
    if needed > free and spec["compression"] == "none":
        half = "extraction.storage_dtype: float16 (half as much) or " if spec["storage_dtype"] == "float32" else ""
        raise UserError(
            f"{folder}: {missing} activation shards need {_shown(needed)}, and {_shown(free)} are free there; "
            f"free some, lower sampling.sequences, or set {half}extraction.compression: gzip (slow)"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # renamed meanwhile
        return 0


def _shown(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
