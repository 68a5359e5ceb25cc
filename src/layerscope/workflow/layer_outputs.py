"""What a job writes of each of its layers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from layerscope.io.tables import write_table


def write_layers(task: Any, tables_of: Callable[[int], Sequence[pd.DataFrame]]) -> None:
    """Write the tables of each layer of a job, one layer after another.

    Args:
        task: Snakemake's job, whose outputs end in ``_{layer}`` before their suffix.
        tables_of: the tables of a layer, in the order in which the rule names its outputs.

    Raises:
        ValueError: there are more tables than outputs of a layer, or fewer.
    """
    outputs: dict[int, list[str]] = {}
    for path in task.output:
        layer = int(Path(path).stem.rpartition("_")[2])
        outputs.setdefault(layer, []).append(path)
    for layer, paths in outputs.items():
        for table, path in zip(tables_of(layer), paths, strict=True):
            write_table(path, table)
