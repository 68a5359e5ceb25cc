"""Path-length shards: HDF5, one dataset [layers, tokens] per quantity, and the tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

from layerscope.io.errors import damaged, reading
from layerscope.io.files import digest_of, whole_file
from layerscope.io.provenance import check_same_run
from layerscope.io.root_attributes import checked_attributes, set_root_attributes
from layerscope.studies.path_length.lengths import QUANTITIES, Values, join
from layerscope.tokenize.token_shards import Tokens

FORMAT = "layerscope path lengths 3"
PLACE = "path_length/{model}/shard_{shard:04d}.h5"


def write_path_shard(path: str | Path, values: Values, tokens: Tokens, attributes: dict[str, Any]) -> None:
    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        set_root_attributes(file, {"format": FORMAT, **attributes, "digest": _digest(values, tokens)})
        tokens.write(file.create_group("tokens"))
        for name in QUANTITIES:
            file.create_dataset(name, data=values[name], chunks=True, fletcher32=True)


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
    with reading(path), h5py.File(path) as file:
        attributes = checked_attributes(file, path, FORMAT, PLACE)
        values, tokens = {name: file[name][:] for name in QUANTITIES}, Tokens.read(file["tokens"])
    if _digest(values, tokens) != attributes["digest"]:
        raise damaged(path, "its values differ from those that were written")
    return values, tokens, attributes


def _digest(values: Values, tokens: Tokens) -> str:
    return digest_of([tokens.digest().encode(), *(values[name].tobytes() for name in QUANTITIES)])
