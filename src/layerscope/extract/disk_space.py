"""What activation shards take on the disk."""

from collections.abc import Sequence

import numpy as np

from layerscope.extract.writer import CHUNK, StorageSpec
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


def smaller(spec: StorageSpec) -> str | None:
    """What makes activation shards smaller or fewer, for :func:`layerscope.io.disk_space.check_space`.

    Compressed ones are smaller by an amount that depends on the values.
    """
    if spec["compression"] != "none":
        return None
    half = "extraction.storage_dtype: float16 (half as much) or " if spec["storage_dtype"] == "float32" else ""
    return f"lower sampling.sequences, or set {half}extraction.compression: gzip (slow)"
