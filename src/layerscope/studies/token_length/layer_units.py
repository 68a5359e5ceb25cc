"""The units of a layer: its neurons, and what they are under random rotations."""

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial

import numpy as np

from layerscope.extract.activation_shards import LayerReader
from layerscope.studies.token_length.document_runs import PIECE, TOKENS_AT_ONCE, Runs, Sums
from layerscope.studies.token_length.rotation import Rotation

HELD_BYTES = 256 << 20  # of neurons in float32: a layer of GPT-Neo 1.3B on 8,192 tokens


class LayerUnits:
    """Neurons of a layer, minus some value near their means, and its units under each rotation.

    Where ``HELD_BYTES`` hold the neurons, they are read once; else each time.

    Args:
        reader: of the layer.
        runs: of the tokens.
        mean: [neurons], float32.
        rotations: of the layer.
        pool: threads, which take one measure at a time: the neurons, or one of the rotations.

    Attributes:
        sums: of the neurons, and of the units under each rotation.
    """

    def __init__(
        self, reader: LayerReader, runs: Runs, mean: np.ndarray, rotations: list[Rotation], pool: Executor
    ) -> None:
        self.reader, self.runs, self.mean, self.rotations, self.width = reader, runs, mean, rotations, reader.width
        self.sums = [Sums.zeros(len(runs), self.width) for _ in range(1 + len(rotations))]
        self.held: np.ndarray | None = None
        shape = len(runs.places), self.width
        held = np.empty(shape, np.float32) if 4 * shape[0] * shape[1] <= HELD_BYTES else None
        for block, neurons in zip(runs.blocks(TOKENS_AT_ONCE), self.neurons(TOKENS_AT_ONCE), strict=True):
            list(pool.map(partial(self._add, block, neurons), range(len(self.sums))))
            if held is not None:
                held[block] = neurons
        self.held = held

    def _add(self, block: slice, neurons: np.ndarray, measure: int) -> None:
        for run, part in self.runs.parts(block, PIECE):
            self.sums[measure].add(run, self.units(measure, neurons[part]))

    def neurons(self, at_once: int) -> Iterator[np.ndarray]:
        """As :meth:`Runs.rows`, centred."""
        if self.held is not None:
            for block in self.runs.blocks(at_once):
                yield self.held[block]
            return
        for rows in self.runs.rows(self.reader, at_once):
            rows -= self.mean
            yield rows

    def units(self, measure: int, neurons: np.ndarray) -> np.ndarray:
        """Units of some tokens, given their neurons [tokens, width]: these, or what they are under a rotation."""
        return self.rotations[measure - 1](neurons) if measure else neurons
