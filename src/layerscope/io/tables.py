"""Tables: Parquet for those of a layer, with a digest of their content; CSV for those of all models, with a seal.

Parquet's own page checksums cover the values, but not the names, types and positions that its footer gives them.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from layerscope.io.errors import damaged, reading
from layerscope.io.files import check_seal, digest_of, digest_of_record, sealed_file, whole_file


def write_table(path: str | Path, table: pd.DataFrame, attributes: dict[str, Any] | None = None) -> None:
    """Write a table whose rows are numbered from 0; such an index is not kept.

    Args:
        attributes: what the table was made from, for :func:`layerscope.io.provenance.check_same_run`; plain values.
    """
    attributes = attributes or {}
    described = table.copy(deep=False)
    described.attrs = {**attributes, "digest": _digest(table, attributes)}  # pandas stores these in a Parquet file
    with whole_file(path) as temporary:
        described.to_parquet(temporary, compression="zstd")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of :func:`write_table`; its ``attrs`` are the attributes, and ``path``.

    Raises:
        UserError: the file is damaged, or its values are not those that were written.
    """
    with reading(path):
        table = pd.read_parquet(path)
        written = table.attrs.pop("digest", None)
        found = _digest(table, table.attrs)
    if found != written:
        raise damaged(path, "its values differ from those that were written")
    table.attrs["path"] = str(path)
    return table


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table for people, which later jobs also read; the index is not kept."""
    with sealed_file(path) as temporary:
        table.to_csv(temporary, index=False)


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table of :func:`write_csv`.

    Raises:
        UserError: the file is not what was written.
    """
    check_seal(path)
    with reading(path):
        return pd.read_csv(path)


def _digest(table: pd.DataFrame, attributes: dict[str, Any]) -> str:
    """XXH3-128 over the names, the types and the values of the columns, and the attributes."""
    rows = pd.util.hash_pandas_object(table, index=False)  # all NaNs are the same, as in Parquet
    columns = repr([(name, str(kind)) for name, kind in table.dtypes.items()])
    return digest_of([columns.encode(), rows.to_numpy().data, digest_of_record(attributes).encode()])
