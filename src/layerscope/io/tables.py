"""Tables: Parquet for those of a layer, with a digest of their content; CSV for those of all models, with a seal.

Parquet's own page checksums cover the values, but not the names, types and positions that its footer gives them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

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
        pa.parquet.write_table(_for_pandas(described), temporary, compression="zstd")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of :func:`write_table`; its ``attrs`` are the attributes, and ``path``.

    Raises:
        UserError: the file is damaged, or its values are not those that were written.
    """
    with reading(path):
        schema = pa.parquet.read_schema(path)
        lists = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
        table = pd.read_parquet(path, columns=[name for name in schema.names if name not in lists])
        # Not by pandas, which makes an array of each list.
        for name, column in zip(lists, pa.parquet.read_table(path, columns=lists).columns, strict=True):
            table.insert(schema.names.index(name), name, pd.array(column, dtype=pd.ArrowDtype(column.type)))
        written = table.attrs.pop("digest", None)
        found = _digest(table, table.attrs)
    if found != written:
        raise damaged(path, "its values differ from those that were written")
    table.attrs["path"] = str(path)
    return table


def fixed_lists(values: np.ndarray) -> pd.Series:
    """A column of lists of one length, the rows of ``values`` [rows, n]; :func:`rows_of` gives them back."""
    flat = pa.array(values.ravel())
    kind = pa.list_(pa.field("element", flat.type), values.shape[1])  # named as in a Parquet file
    lists = pa.FixedSizeListArray.from_arrays(flat, type=kind)
    return pd.Series(pd.array(lists, dtype=pd.ArrowDtype(lists.type)))


def rows_of(column: pd.Series) -> np.ndarray:
    """The lists of a column of :func:`fixed_lists`: [rows, n]."""
    lists = pa.array(column.array)
    if isinstance(lists, pa.ChunkedArray):  # of a large file, or joined
        lists = lists.combine_chunks()
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), lists.type.list_size)


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


def _for_pandas(table: pd.DataFrame) -> pa.Table:
    """A table as Arrow's, with what pandas reads of it, ``attrs`` too.

    pandas does not understand the name that it has for lists of one length itself; it reads objects as arrays.
    """
    arrow = pa.Table.from_pandas(table)
    described = json.loads(arrow.schema.metadata[b"pandas"])
    for column in described["columns"]:
        if column["name"] in table and _has_lists(table[column["name"]]):
            column["numpy_type"] = "object"
    described = {"pandas": json.dumps(described), "PANDAS_ATTRS": json.dumps(table.attrs)}
    return arrow.replace_schema_metadata(described)


def _has_lists(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_fixed_size_list(column.dtype.pyarrow_dtype)


def _digest(table: pd.DataFrame, attributes: dict[str, Any]) -> str:
    """XXH3-128 over the names, the types and the values of the columns, and the attributes."""
    lists = {name: column for name, column in table.items() if _has_lists(column)}
    # All NaNs are the same, as in Parquet.
    rows = pd.util.hash_pandas_object(table.drop(columns=list(lists)), index=False)
    columns = repr([(name, str(kind)) for name, kind in table.dtypes.items()])
    values = [np.ascontiguousarray(rows_of(column)).data for column in lists.values()]
    return digest_of([columns.encode(), rows.to_numpy().data, *values, digest_of_record(attributes).encode()])
