"""The jackknife over clusters of tokens: documents, or token types.

Tokens of a document are correlated, so whole documents are left out: this asks how the statistic would differ on other
text of this kind, with this vocabulary. How it would differ for new token types is asked by leaving out types, each of
which counts once.
"""

import numpy as np

NOTHING_LEFT = 1e-10  # share of a row's norm below which what is left of it is rounding
MOST = 200  # groups that are left out in turn


class Groups:
    """Tokens in groups: those of a type, or those of a document.

    Args:
        labels: [tokens], of any values.
    """

    def __init__(self, labels: np.ndarray) -> None:
        # The first token of each group, the number of the group of each token, and how many each group has.
        _, self.first, self.labels, self.sizes = np.unique(
            labels, return_index=True, return_inverse=True, return_counts=True
        )
        self.order = np.argsort(self.labels, kind="stable")
        self.in_order = bool((np.diff(self.labels) >= 0).all())
        self.starts = np.cumsum(self.sizes) - self.sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def arranged(self, values: np.ndarray) -> np.ndarray:
        """``values`` [..., tokens], group after group."""
        return values if self.in_order else values.take(self.order, axis=-1)

    def sums_of_arranged(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, self.starts, axis=-1)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[..., tokens] to [..., groups], in float64; in half the time of arranging them."""
        rows = values.reshape(-1, len(self.labels))
        sums = np.empty((len(rows), len(self)))
        for i, row in enumerate(rows):
            sums[i] = np.bincount(self.labels, row, len(self))
        return sums.reshape(*values.shape[:-1], len(self))

    def means(self, values: np.ndarray) -> np.ndarray:
        return self.sums(values) / self.sizes


class Jackknife:
    """Sums of a sample with each of its clusters left out in turn.

    Args:
        labels: [tokens], of the clusters, such as sentences; more than MOST of them are left out in groups.
    """

    def __init__(self, labels: np.ndarray) -> None:
        self.clusters = len(np.unique(labels))
        groups = coarser(labels)
        self.groups = Groups(groups)
        self.effective = effective_number(self.groups.sizes)

    def arranged(self, values: np.ndarray) -> np.ndarray:
        return self.groups.arranged(values)

    def sums_of_arranged(self, values: np.ndarray) -> np.ndarray:
        """[..., tokens], arranged, to [..., groups]: the sum over all tokens except those of the group."""
        sums = self.groups.sums_of_arranged(values)
        return sums.sum(axis=-1, keepdims=True) - sums

    def sums(self, values: np.ndarray) -> np.ndarray:
        return self.sums_of_arranged(self.arranged(values))


class JackknifePearson:
    """Correlation with one variable, with each group of tokens left out in turn.

    Args:
        y: [tokens], with mean near zero and norm near one, so that sums lose no digits.
    """

    def __init__(self, jackknife: Jackknife, y: np.ndarray) -> None:
        self.jackknife, self.y = jackknife, jackknife.arranged(y)
        self.total = jackknife.sums(np.ones(len(y)))
        with np.errstate(invalid="ignore"):  # of one document nothing is left
            self.mean = jackknife.sums_of_arranged(self.y) / self.total
            self.variance = jackknife.sums_of_arranged(self.y**2) / self.total - self.mean**2

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Pearson's r of each row with ``y``.

        Args:
            rows: [rows, tokens], each with mean near zero and norm near one.

        Returns:
            [rows, groups]; NaN where a row or ``y`` does not vary without a group.
        """
        values = self.jackknife.arranged(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self.jackknife.sums_of_arranged(values) / self.total
            covariance = self.jackknife.sums_of_arranged(values * self.y) / self.total - mean * self.mean
            variance = self.jackknife.sums_of_arranged(values * values) / self.total - mean * mean
            r = covariance / np.sqrt(variance * self.variance)
        varies = (variance > NOTHING_LEFT / rows.shape[1]) & (self.variance > NOTHING_LEFT / rows.shape[1])
        return np.where(varies, np.clip(r, -1, 1), np.nan)


def coarser(labels: np.ndarray) -> np.ndarray:
    """``labels`` in at most MOST groups of about equal size: clusters are assigned in turn, from the largest down.

    Groups of independent clusters are independent too.
    """
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return inverse if len(sizes) <= MOST else (rank % MOST)[inverse]


def effective_number(sizes: np.ndarray) -> float:
    """The number of groups of equal size that would carry as much information as groups of ``sizes`` [groups].

    n² / Σ n_i² (Kish 1965).
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def jackknife_error(values: np.ndarray) -> np.ndarray:
    """Standard error of a statistic, from its values [..., groups] with each group left out: [...]; NaN of no group.

    Of the estimates for clustered data, this one is the most robust to clusters of unequal size (MacKinnon, Nielsen and
    Webb 2023, J. Econometrics 232:272, there CV3).
    """
    groups = values.shape[-1]
    if not groups:
        return np.full(values.shape[:-1], np.nan)
    return np.sqrt((groups - 1) / groups * ((values - values.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [..., n] minus their mean, scaled to norm one; NaN for a row that does not vary."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    norm = np.sqrt(np.einsum("...i,...i->...", centred, centred))[..., None]
    with np.errstate(invalid="ignore"):
        return np.divide(centred, norm, out=centred)
