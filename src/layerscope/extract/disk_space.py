"""Whether activation shards have room on the disk, before hours go into computing them."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from layerscope.extract.writer import CHUNK, StorageSpec
from layerscope.io.errors import UserError
from layerscope.model.loading import LoadedModel


def shard_bytes(model: LoadedModel, sites: Sequence[str], tokens: int, storage_dtype: str) -> int:
    """Bytes of an activation shard that is not compressed: sites x layers x tokens x width x bytes per number.

    HDF5 stores whole chunks, so tokens and width count up to the next chunk.
    """
    rows = min(CHUNK[0], tokens)
    tokens = -(-tokens // rows) * rows
    numbers = 0
    for width in map(model.width, sites):
        columns = min(CHUNK[1], width)
        numbers += model.layers * tokens * -(-width // columns) * columns
    return numbers * np.dtype(storage_dtype).itemsize


def check_space(output: Path, shards: int, size: int, spec: StorageSpec) -> None:
    """Check what the shards that are still missing will take against the free space of their folder.

    At the start of each extraction, and not before any job: only then is the configuration of a model on the hub there,
    and the space is that of the machine that writes. Compressed shards are smaller by an amount that depends on the
    values; they may try.

    Args:
        output: the shard that is about to be written.
        shards: how many the sample has.
        size: bytes of one, from :func:`shard_bytes`.
        spec: how activations are stored.

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
