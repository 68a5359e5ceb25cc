"""Chance and uncertainty: lengths dealt anew to token types, and sequences, types and tokens drawn anew.

Length is a property of the token type, so the types, not the tokens, are what chance may exchange. And tokens of a
sequence, like tokens of a type, are alike: an interval has to resample both.
"""

import numpy as np


def dealt(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """``values`` [types] in ``draws`` random orders: [types, draws]."""
    return rng.permuted(np.repeat(values[:, None], draws, axis=1), axis=0)


def multiplicities(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of ``count`` things is drawn, ``count`` times with replacement: [count, draws]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).T.astype(np.float64)


class Groups:
    """Tokens in groups: those of a type, or those of a sequence.

    Args:
        labels: [tokens], of any values.
    """

    def __init__(self, labels: np.ndarray) -> None:
        # The first token of each group, and how many it has.
        _, self.first, inverse, self.sizes = np.unique(
            labels, return_index=True, return_inverse=True, return_counts=True
        )
        self.order = np.argsort(inverse, kind="stable")
        self.starts = np.cumsum(self.sizes) - self.sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[..., tokens] to [..., groups]."""
        return np.add.reduceat(values[..., self.order], self.starts, axis=-1)

    def means(self, values: np.ndarray) -> np.ndarray:
        return self.sums(values) / self.sizes
