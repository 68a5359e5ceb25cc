"""Reads the inputs of a job, according to their suffixes."""

from collections.abc import Mapping
from typing import Any

from layerscope.io.tables import read_csv, read_table


def read_inputs(inputs: Any, keyed: Mapping[str, list[str]]) -> dict[str, Any]:
    """The named inputs of a job: a table or a list of tables; for other files, their paths.

    Args:
        inputs: Snakemake's inputs: name → a path or a list of paths.
        keyed: inputs to return as dictionaries: name → keys, in the order of the paths.
    """
    found = {}
    for name, paths in inputs.items():
        found[name] = _read(paths) if isinstance(paths, str) else [_read(path) for path in paths]
        if name in keyed:
            found[name] = dict(zip(keyed[name], found[name], strict=True))
    return found


def _read(path: str) -> Any:
    if path.endswith(".csv"):
        return read_csv(path)
    return read_table(path) if path.endswith(".parquet") else path
