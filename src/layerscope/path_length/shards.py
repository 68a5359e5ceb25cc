"""Path-length shards: HDF5, one dataset [layers, tokens] a quantity, and the tokens."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.errors import reading
from layerscope.files import whole_file
from layerscope.path_length.lengths import QUANTITIES
from layerscope.tokenize.token_shards import Tokens

FORMAT = "layerscope path lengths 1"


def write_path_shard(
    path: str | Path, values: dict[str, np.ndarray], tokens: Tokens, attributes: dict[str, Any]
) -> None:
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update({"format": FORMAT, **attributes})
        tokens.write(file.create_group("tokens"))
        for name in QUANTITIES:
            file.create_dataset(name, data=values[name], chunks=True, fletcher32=True)


def read_path_shards(paths: list[str]) -> tuple[dict[str, np.ndarray], Tokens]:
    """Quantities [layers, tokens] and tokens of a sample, joined over its shards.

    Raises:
        UserError: a shard is damaged.
    """
    values: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITIES}
    tokens = []
    for path in paths:
        with reading(path), h5py.File(path) as file:
            tokens.append(Tokens.read(file["tokens"]))
            for name in QUANTITIES:
                values[name].append(file[name][:])
    return {name: np.concatenate(parts, axis=1) for name, parts in values.items()}, Tokens.join(tokens)
