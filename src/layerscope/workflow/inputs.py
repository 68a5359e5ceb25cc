"""Reads the inputs of a job, according to their suffixes."""

from typing import Any

from layerscope.io.tables import read_csv, read_table


def read_input(paths: Any) -> Any:
    """A table or a list of tables, as Snakemake gives one path or a list; for other files, their paths."""
    return _read(paths) if isinstance(paths, str) else [_read(path) for path in paths]


def _read(path: str) -> Any:
    if path.endswith(".csv"):
        return read_csv(path)
    return read_table(path) if path.endswith(".parquet") else path
