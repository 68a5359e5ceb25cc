"""Random orthogonal maps of a layer, in which no unit is a neuron any more."""

import numpy as np
from scipy.fft import dct, idct


class Rotation:
    """A random orthogonal map of rows [..., width], by signs and cosine transforms: no matrix of width² is needed.

    Every unit of the result mixes all neurons with weights of about the same size.
    """

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        self.signs = rng.choice(np.array([-1, 1], dtype=np.float32), (2, width))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        first, second = self.signs
        rotated = dct(rows * first, norm="ortho", axis=-1, overwrite_x=True)
        rotated *= second
        return dct(rotated, norm="ortho", axis=-1, overwrite_x=True)

    def weights(self, units: np.ndarray) -> np.ndarray:
        """Weights of the neurons in ``units`` of the result, [units] to [units, width]."""
        rows = np.zeros((len(units), self.signs.shape[1]), dtype=np.float32)
        rows[np.arange(len(units)), units] = 1
        for signs in self.signs[::-1]:
            rows = idct(rows, norm="ortho", axis=-1, overwrite_x=True)
            rows *= signs
        return rows
