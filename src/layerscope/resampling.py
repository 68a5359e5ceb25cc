"""A sample of text drawn anew: its sequences, its token types and its tokens.

Tokens of a sequence are alike, and so are tokens of a type: an interval has to resample both.
"""

import numpy as np

NOTHING_LEFT = 1e-10  # share of a row's length below which what is left of it is rounding
AT_ONCE = 32 << 20  # bytes of float64 that the draws of tokens may take at once


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
        self.in_order = bool((np.diff(inverse) >= 0).all())
        self.starts = np.cumsum(self.sizes) - self.sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def arranged(self, values: np.ndarray) -> np.ndarray:
        """``values`` [..., tokens], group after group."""
        return values if self.in_order else values[..., self.order]

    def sums_of_arranged(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, self.starts, axis=-1)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[..., tokens] to [..., groups]."""
        return self.sums_of_arranged(self.arranged(values))

    def means(self, values: np.ndarray) -> np.ndarray:
        return self.sums(values) / self.sizes


class Drawn:
    """Draws of a sample in which whole groups of tokens come as often as they are drawn.

    Args:
        groups: what is drawn; None for the tokens themselves.
        times: how often each is drawn, [groups or tokens, draws].
    """

    def __init__(self, groups: Groups | None, times: np.ndarray) -> None:
        self.groups, self.times = groups, times

    def arranged(self, values: np.ndarray) -> np.ndarray:
        return self.groups.arranged(values) if self.groups else values

    def sums_of_arranged(self, values: np.ndarray) -> np.ndarray:
        """[..., tokens], arranged, to [..., draws]: the sums over each drawn sample."""
        if self.groups:
            return self.groups.sums_of_arranged(values) @ self.times
        # As bytes the draws of all tokens fit into memory, as numbers a few at once do.
        count = max(1, AT_ONCE // (8 * len(self.times)))
        starts = range(0, self.times.shape[1], count)
        return np.concatenate([values @ self.times[:, i : i + count].astype(np.float64) for i in starts], axis=-1)

    def sums(self, values: np.ndarray) -> np.ndarray:
        return self.sums_of_arranged(self.arranged(values))

    def means(self, values: np.ndarray) -> np.ndarray:
        return self.sums(values) / self.sums(np.ones(values.shape[-1]))


class Resampled:
    """Correlation with one variable, in every draw of a sample.

    Args:
        drawn: the draws.
        y: [tokens], of mean near zero and of a length near one, so that sums lose no digits.
    """

    def __init__(self, drawn: Drawn, y: np.ndarray) -> None:
        self.drawn, self.y = drawn, drawn.arranged(y)
        self.total = drawn.sums_of_arranged(np.ones_like(y))
        self.mean = drawn.sums_of_arranged(self.y) / self.total
        self.variance = drawn.sums_of_arranged(self.y**2) / self.total - self.mean**2

    def pearson(self, rows: np.ndarray) -> np.ndarray:
        """Pearson's r of each row with ``y``.

        Args:
            rows: [rows, tokens], each of mean near zero and of a length near one, likewise.

        Returns:
            [rows, draws]; NaN where a row or ``y`` does not vary in a draw.
        """
        values = self.drawn.arranged(rows)
        mean = self.drawn.sums_of_arranged(values) / self.total
        covariance = self.drawn.sums_of_arranged(values * self.y) / self.total - mean * self.mean
        variance = self.drawn.sums_of_arranged(values * values) / self.total - mean * mean
        with np.errstate(divide="ignore", invalid="ignore"):
            r = covariance / np.sqrt(variance * self.variance)
        varies = (variance > NOTHING_LEFT / rows.shape[1]) & (self.variance > NOTHING_LEFT / rows.shape[1])
        return np.where(varies, np.clip(r, -1, 1), np.nan)


def draws_of_text(sequences: Groups, types: Groups, draws: int, rng: np.random.Generator) -> dict[str, Drawn]:
    """Draws of the sequences, of the types and of the tokens of one sample; :func:`two_way_std` puts them together."""
    tokens = rng.poisson(1, (sequences.sizes.sum(), draws)).astype(np.uint8)
    return {
        "sequences": Drawn(sequences, multiplicities(len(sequences), draws, rng)),
        "types": Drawn(types, multiplicities(len(types), draws, rng)),
        "tokens": Drawn(None, tokens),
    }


def multiplicities(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of ``count`` things is drawn, ``count`` times with replacement: [count, draws]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).T.astype(np.float64)


def two_way_std(sequences: np.ndarray, types: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Standard error of a statistic whose tokens are alike within a sequence and within a type.

    The variances from drawing sequences and from drawing types anew, less that from drawing tokens, which both hold
    (Cameron, Gelbach and Miller 2011); at least the larger of the two.

    Args:
        sequences, types, tokens: standard deviations over the draws of each.
    """
    both = sequences**2 + types**2 - tokens**2
    return np.sqrt(np.maximum(both, np.maximum(sequences, types) ** 2))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [..., n] less their mean, of length one; NaN for a row that does not vary."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return centred / np.linalg.norm(centred, axis=-1, keepdims=True)
