"""Path-length shards: HDF5, one dataset [layers, tokens] per quantity, and the tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from layerscope.io.errors import reading
from layerscope.io.hdf5 import new_hdf5, open_hdf5, read_dataset, write_dataset
from layerscope.io.provenance import check_same_run
from layerscope.studies.path_length.lengths import QUANTITIES, Values, join
from layerscope.tokenize.token_shards import Tokens

FORMAT = "layerscope path lengths 4"
PLACE = "path_length/{model}/shard_{shard:04d}.h5"


def write_path_shard(path: str | Path, values: Values, tokens: Tokens, attributes: dict[str, Any]) -> None:
    """Write quantities [layers, tokens] and the tokens, with a digest of the tokens among the attributes."""
    with new_hdf5(path, {"format": FORMAT, **attributes, "token_shard_digest": tokens.digest()}) as file:
        tokens.write(file.create_group("tokens"))
        for name in QUANTITIES:
            write_dataset(file, name, values[name], chunks=True)


def read_path_shards(paths: list[str], tables: Sequence[pd.DataFrame] = ()) -> tuple[Values, Tokens]:
    """Quantities [layers, tokens] and tokens of a sample, joined over its shards.

    Args:
        tables: tables of the sample's tokens that the quantities are to meet.

    Raises:
        UserError: a shard is damaged, or not that of its place, or shards and tables are not of one run.
    """
    shards = {path: _read(path) for path in paths}
    attributes = {path: attributes for path, (_, _, attributes) in shards.items()}
    check_same_run(attributes, [table.attrs for table in tables])
    return join(values for values, _, _ in shards.values()), Tokens.join(tokens for _, tokens, _ in shards.values())


def _read(path: str) -> tuple[Values, Tokens, dict[str, Any]]:
    with reading(path), open_hdf5(path, {FORMAT: PLACE}) as (file, attributes):
        values = {name: read_dataset(file, name) for name in QUANTITIES}
        return values, Tokens.read(file, attributes["token_shard_digest"]), attributes
