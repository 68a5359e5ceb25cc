"""A summary by a plain loop over tokens in float64, to compare summaries with."""

from collections import defaultdict
from dataclasses import fields

import numpy as np
from texts import PARTIAL, SPECIAL, TYPES, Text, covariates_of

from layerscope.summarize.neuron_sums import AFTER, BEFORE, CONTEXTS, EXTREME, NeuronSums
from layerscope.summarize.token_classes import token_classes
from layerscope.summarize.token_sums import TokenSums

EXACT = 1e-12  # share of Σ |term| by which sums in float64 may differ
MERGED = 1e-9  # likewise, of merged shards
UNIT = 2.0**-24  # rounding of float32
COUNTS = ("types", "type_counts", "documents", "clusters", "classes")
KEPT = EXTREME


class Loop:
    """All fields of a summary, and Σ |term| of each of its sums, by a loop over tokens in float64.

    Args:
        pilot: [neurons], about which activations are summed.
    """

    def __init__(self, text: Text, values: np.ndarray, pilot: np.ndarray, token_types: int = TYPES) -> None:
        tokens, values = text.tokens, values.astype(np.float64)
        z = covariates_of(text).of_tokens(tokens, text.length)
        classes = token_classes(text.types, token_types)
        width, neurons = z.shape[1], values.shape[1]
        self.cluster_products, self.class_products = (defaultdict(lambda: np.zeros((width, width))) for _ in range(2))
        self.cluster_sums, self.cluster_sizes = (defaultdict(lambda: np.zeros((width + 3, neurons))) for _ in range(2))
        self.class_sums, self.class_sizes = (defaultdict(lambda: np.zeros(neurons)) for _ in range(2))
        self.type_counts: dict[int, int] = defaultdict(int)
        self.documents: set[int] = set()
        places, kept = [], []
        for t in range(len(tokens)):
            kind, document = int(tokens.input_ids[t]), int(tokens.document[t])
            if kind in (SPECIAL, *PARTIAL):
                continue
            cluster, of_class = document % 100, int(classes[kind])
            outer, x = np.outer(z[t], z[t]), values[t] - pilot
            self.cluster_products[cluster] += outer
            self.class_products[of_class] += outer
            terms = np.vstack([np.outer(z[t], x), x**2, x**3, x**4])
            self.cluster_sums[cluster] += terms
            self.cluster_sizes[cluster] += abs(terms)
            self.class_sums[of_class] += x
            self.class_sizes[of_class] += abs(x)
            self.type_counts[kind] += 1
            self.documents.add(document)
            places.append(int(tokens.sequence[t]) * text.length + int(tokens.position[t]))
            kept.append(t)
        for name, sign in (("most", 1), ("least", -1)):
            value = np.full((CONTEXTS, neurons), -sign * np.inf)
            place, token = (np.full((CONTEXTS, neurons), -1) for _ in range(2))
            window = np.full((CONTEXTS, BEFORE + 1 + AFTER, neurons), np.nan, np.float16)
            for neuron in range(neurons):
                ranked = sorted(range(len(kept)), key=lambda i: (-sign * values[kept[i], neuron], places[i]))
                for rank, i in enumerate(ranked[:CONTEXTS]):
                    value[rank, neuron], place[rank, neuron] = values[kept[i], neuron], places[i]
                    token[rank, neuron] = tokens.input_ids[kept[i]]
                    for j in range(kept[i] - BEFORE, kept[i] + AFTER + 1):
                        if 0 <= j < len(tokens) and tokens.sequence[j] == tokens.sequence[kept[i]]:
                            window[rank, j - kept[i] + BEFORE, neuron] = np.clip(
                                np.float32(values[j, neuron]), -65504, 65504
                            )
            setattr(self, f"{name}_value", value)
            setattr(self, f"{name}_place", place)
            setattr(self, f"{name}_token", token)
            setattr(self, f"{name}_window", window)

    def check(self, tokens: TokenSums, neurons: NeuronSums, bound: float = EXACT, of_class: float = 0) -> None:
        """Compare all fields.

        Args:
            bound: share of Σ |term| by which sums of activations may differ.
            of_class: likewise, of classes, where it is another.
        """
        for name in ("cluster_products", "class_products"):
            numbers, expected = ordered(getattr(self, name))
            assert getattr(tokens, "clusters" if name == "cluster_products" else "classes").tolist() == numbers
            np.testing.assert_allclose(getattr(tokens, name), expected, rtol=MERGED, atol=1e-10, err_msg=name)
        for sums, sizes, share in (("cluster_sums", "cluster_sizes", bound), ("class_sums", "class_sizes", of_class)):
            _, expected = ordered(getattr(self, sums))
            _, size = ordered(getattr(self, sizes))
            error = abs(getattr(neurons, sums) - expected) - (share or bound) * size
            assert error.max() <= 0, f"{sums}: {error.max()}"
        assert dict(zip(tokens.types.tolist(), tokens.type_counts.tolist(), strict=True)) == self.type_counts
        assert tokens.types.tolist() == sorted(self.type_counts)
        assert tokens.documents.tolist() == sorted(self.documents)
        assert tokens.tokens == sum(self.type_counts.values())
        for name in KEPT:
            assert getattr(neurons, name).shape == getattr(self, name).shape
            assert same_values(getattr(neurons, name), getattr(self, name)), name


def ordered(groups: dict[int, np.ndarray]) -> tuple[list[int], np.ndarray]:
    numbers = sorted(groups)
    return numbers, np.stack([groups[number] for number in numbers])


def same_values(one: np.ndarray, other: np.ndarray) -> bool:
    """Of integers or numbers; NaN equals NaN."""
    return np.array_equal(one, other, equal_nan=True)


def same_bits(one: TokenSums | NeuronSums, other: TokenSums | NeuronSums) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)
