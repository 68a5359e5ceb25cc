"""The inputs of a job, read by what their names end with."""

from collections.abc import Mapping
from typing import Any

from layerscope.io.tables import read_csv, read_table


def read_inputs(inputs: Any, keyed: Mapping[str, list[str]]) -> dict[str, Any]:
    """The tables of a job's named inputs: one, or a list; the path of what is no table.

    Args:
        inputs: Snakemake's: name → a path, or a list of them.
        keyed: names of inputs that are dictionaries, with their keys.
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
