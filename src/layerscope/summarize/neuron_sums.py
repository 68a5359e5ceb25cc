"""What a summary keeps of the neurons of a layer: sums over tokens, and some of their activations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from layerscope.summarize.token_sums import TokenSums

CONTEXTS = 16  # extreme values that are kept per neuron, of either kind
BEFORE, AFTER = 15, 5  # tokens around each, whose activations are kept too
WINDOW = BEFORE + 1 + AFTER
POWERS = ("square", "cube", "fourth")  # after the products with covariates
EXTREME = tuple(f"{which}_{what}" for which in ("most", "least") for what in ("value", "place", "token", "window"))


@dataclass(frozen=True, eq=False)
class NeuronSums:
    """Sums over the tokens of :class:`TokenSums` of activations x, minus a pilot p, and of their products.

    The pilot is near each neuron's mean, so that no digits cancel; it is the mean over those of a shard's first batch
    that has any.
    """

    pilot: np.ndarray  # [neurons]
    cluster_sums: np.ndarray  # [clusters, covariates + 3, neurons]: Σ (x − p) z, Σ (x − p)², Σ (x − p)³, Σ (x − p)⁴
    class_sums: np.ndarray  # [classes, neurons]: Σ (x − p)
    most_value: np.ndarray  # [contexts, neurons], from the largest down
    most_place: np.ndarray  # [contexts, neurons], int64; −1 where there are fewer tokens
    most_token: np.ndarray  # [contexts, neurons], int32: token ids; likewise
    most_window: np.ndarray  # [contexts, WINDOW, neurons], float16; NaN outside the sequence
    least_value: np.ndarray  # [contexts, neurons], from the smallest up
    least_place: np.ndarray  # [contexts, neurons]
    least_token: np.ndarray  # [contexts, neurons]
    least_window: np.ndarray  # [contexts, WINDOW, neurons]

    @classmethod
    def merge(cls, tokens: Sequence[TokenSums], parts: Iterable[Self], merged: TokenSums) -> Self:
        """The sums of several shards, added in order, in float64.

        Sums about one pilot become those about another by the binomial formula, whose case of means is Pébay's (2008,
        Sandia report SAND2008-6212).

        Args:
            tokens: of the shards.
            parts: of the shards; each is asked for when those before it are added, and not kept.
            merged: ``tokens``, merged.
        """
        for number, (of, part) in enumerate(zip(tokens, parts, strict=True)):
            if number == 0:
                pilot = part.pilot.astype(np.float64)
                cluster_sums = np.zeros((len(merged.clusters), *part.cluster_sums.shape[1:]))
                class_sums = np.zeros((len(merged.classes), len(pilot)))
                extremes = {name: getattr(part, name) for name in EXTREME}
            else:
                extremes = _merged(extremes, part)
            moved = part.pilot - pilot
            # One cluster and one class at a time, as in float64 a layer's sums have hundreds of megabytes.
            at = np.searchsorted(merged.clusters, of.clusters)
            for cluster, sums, ones in zip(at, part.cluster_sums, of.cluster_products[:, 0], strict=True):
                cluster_sums[cluster] += shifted(sums.astype(np.float64), ones, moved)
            at = np.searchsorted(merged.classes, of.classes)
            for class_, of_class, count in zip(at, part.class_sums, of.class_counts, strict=True):
                class_sums[class_] += of_class + count * moved
        return cls(pilot, cluster_sums, class_sums, **extremes)

    def block(self, start: int, stop: int) -> Self:
        """Those of the neurons ``start`` to ``stop``."""
        return type(self)(**{field.name: getattr(self, field.name)[..., start:stop] for field in fields(self)})


def shifted(sums: np.ndarray, ones: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Sums about a pilot as sums about another.

    Args:
        sums: [covariates + 3, neurons], float64.
        ones: [covariates], Σ z; the first is the number of tokens.
        moved: [neurons], the pilot minus the other.
    """
    products, (square, cube, fourth) = sums[:-3], sums[-3:]
    first, n = products[0], ones[0]
    return np.vstack(
        [
            products + ones[:, None] * moved,
            square + 2 * moved * first + n * moved**2,
            cube + 3 * moved * square + 3 * moved**2 * first + n * moved**3,
            fourth + 4 * moved * cube + 6 * moved**2 * square + 4 * moved**3 * first + n * moved**4,
        ]
    )


def _merged(extremes: Mapping[str, np.ndarray], part: NeuronSums) -> dict[str, np.ndarray]:
    """The extremes of what came before and of ``part``; of equal ones the first."""
    joined = {name: np.concatenate([before, getattr(part, name)]) for name, before in extremes.items()}
    for which, sign in (("most", 1), ("least", -1)):
        values = joined[f"{which}_value"]
        kept = np.argsort(-sign * values, axis=0, kind="stable")[:CONTEXTS]
        for what in ("value", "place", "token"):
            joined[f"{which}_{what}"] = np.take_along_axis(joined[f"{which}_{what}"], kept, axis=0)
        joined[f"{which}_window"] = np.take_along_axis(joined[f"{which}_window"], kept[:, None], axis=0)
    return joined
