"""Stored activations of some neurons, and the tokens that they are of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader, dataset_name, manifest_of
from layerscope.io.files import read_json
from layerscope.tokenize.token_shards import Tokens


class StoredActivations:
    """Activations that a run stored.

    The first time that a layer is read, it is read whole, so that the digests of its values are compared; afterwards
    only the neurons that are asked for, while its files stay as they are.
    """

    def __init__(self) -> None:
        self._compared: set[tuple[object, ...]] = set()

    def read(
        self, shards: list[str], site: str, layer: int, neurons: Sequence[int], vocabulary: pd.DataFrame
    ) -> tuple[Tokens, np.ndarray]:
        """Tokens of the stored sample, and float32 [tokens, neurons].

        Args:
            shards: activation shards of a model, in order.
            neurons: which, in any order.
            vocabulary: table of the tokens.

        Raises:
            UserError: a shard is damaged, or shards and vocabulary are not of one run.
        """
        with LayerReader(shards, site, layer, [vocabulary]) as reader:
            files = [(path, status.st_size, status.st_mtime_ns) for path in shards for status in [Path(path).stat()]]
            state = (reader.name, *files)
            if state not in self._compared:
                reader.check()
                self._compared.add(state)
            return reader.tokens(), reader.columns(neurons)


def width_of(shard: str, site: str, layer: int) -> int:
    """How many neurons a stored layer has."""
    return int(read_json(manifest_of(shard))["datasets"][dataset_name(site, layer)]["shape"][1])
