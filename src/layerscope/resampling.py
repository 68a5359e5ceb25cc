"""How sure a statistic of a text is: its sequences and its token types left out in turn.

Tokens of a sequence are alike, and so are tokens of a type: an interval has to leave out both.
"""

import numpy as np

NOTHING_LEFT = 1e-10  # share of a row's length below which what is left of it is rounding
MOST = 200  # groups that are left out one after the other
KINDS = ("sequences", "types", "tokens")


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


class LeftOut:
    """A sample with each group of its tokens left out in turn.

    Args:
        labels: [tokens], of the groups. Where there are more than MOST of them, the smaller are put together.
    """

    def __init__(self, labels: np.ndarray) -> None:
        self.groups = Groups(coarser(labels))

    def arranged(self, values: np.ndarray) -> np.ndarray:
        return self.groups.arranged(values)

    def sums_of_arranged(self, values: np.ndarray) -> np.ndarray:
        """[..., tokens], arranged, to [..., groups]: the sum over all tokens but those of the group."""
        sums = self.groups.sums_of_arranged(values)
        return sums.sum(axis=-1, keepdims=True) - sums

    def sums(self, values: np.ndarray) -> np.ndarray:
        return self.sums_of_arranged(self.arranged(values))

    def means(self, values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Of the tokens ``keep`` [tokens], bool."""
        return self.sums(values * keep) / self.sums(keep.astype(np.float64))


class LeftOutPearson:
    """Correlation with one variable, with each group of tokens left out in turn.

    Args:
        y: [tokens], of mean near zero and of a length near one, so that sums lose no digits.
        keep: [tokens], bool, which take part; ``y`` and the rows are 0 at the others.
    """

    def __init__(self, left_out: LeftOut, y: np.ndarray, keep: np.ndarray) -> None:
        self.left_out, self.y = left_out, left_out.arranged(y)
        self.total = left_out.sums(keep.astype(np.float64))
        self.mean = left_out.sums_of_arranged(self.y) / self.total
        self.variance = left_out.sums_of_arranged(self.y**2) / self.total - self.mean**2

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Pearson's r of each row with ``y``.

        Args:
            rows: [rows, tokens], each of mean near zero and of a length near one, likewise.

        Returns:
            [rows, groups]; NaN where a row or ``y`` does not vary without a group.
        """
        values = self.left_out.arranged(rows)
        mean = self.left_out.sums_of_arranged(values) / self.total
        covariance = self.left_out.sums_of_arranged(values * self.y) / self.total - mean * self.mean
        variance = self.left_out.sums_of_arranged(values * values) / self.total - mean * mean
        with np.errstate(divide="ignore", invalid="ignore"):
            r = covariance / np.sqrt(variance * self.variance)
        varies = (variance > NOTHING_LEFT / rows.shape[1]) & (self.variance > NOTHING_LEFT / rows.shape[1])
        return np.where(varies, np.clip(r, -1, 1), np.nan)


def left_out_of_text(sequences: np.ndarray, types: np.ndarray, rng: np.random.Generator) -> dict[str, LeftOut]:
    """What is left out for :func:`two_way_error`: a sequence, a type, or a random part of the tokens.

    Args:
        sequences, types: [tokens], labels.
    """
    parts = rng.permutation(len(types)) % min(MOST, len(types))
    return {"sequences": LeftOut(sequences), "types": LeftOut(types), "tokens": LeftOut(parts)}


def coarser(labels: np.ndarray) -> np.ndarray:
    """``labels`` in at most MOST groups: the largest groups stay by themselves, the smaller are dealt to the rest.

    Groups of groups that have nothing to do with each other have no more to do with each other.
    """
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(sizes) <= MOST:
        return inverse
    rank = np.empty(len(sizes), dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    half = MOST // 2
    return np.where(rank < half, rank, half + rank % half)[inverse]


def effective_number(labels: np.ndarray) -> float:
    """Of how many groups of equal size the sample tells as much: n² / Σ n_i² (Kish 1965)."""
    sizes = np.unique(labels, return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def jackknife_error(values: np.ndarray) -> np.ndarray:
    """Standard error of a statistic, from its values [..., groups] with each group left out: [...]."""
    groups = values.shape[-1]
    return np.sqrt((groups - 1) / groups * ((values - values.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))


def two_way_error(sequences: np.ndarray, types: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Standard error of a statistic whose tokens are alike within a sequence and within a type.

    The variances from leaving out sequences and from leaving out types, less that from leaving out random parts of the
    tokens, which both hold (Cameron, Gelbach and Miller 2011); at least the larger of the two. Of all estimates, those
    that leave out are the least misled by a type that makes up much of the text (MacKinnon, Nielsen and Webb 2023).

    Args:
        sequences, types, tokens: the statistic, [..., groups], with each group of each kind left out.
    """
    of_sequences, of_types, of_tokens = (jackknife_error(values) ** 2 for values in (sequences, types, tokens))
    return np.sqrt(np.maximum(of_sequences + of_types - of_tokens, np.maximum(of_sequences, of_types)))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [..., n] less their mean, of length one; NaN for a row that does not vary."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return centred / np.linalg.norm(centred, axis=-1, keepdims=True)
