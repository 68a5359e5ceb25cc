"""Tables of a layer of token_length with random values, as many as a model's of a given shape has."""

import numpy as np
import pandas as pd

from layerscope.io.tables import fixed_lists

AROUND = 15, 5  # tokens of a window before and after a context
KINDS = {"most": 16, "least": 16} | {f"quantile_{percent}": 2 for percent in range(10, 100, 10)} | {"random": 8}
BINS, RANKS, LENGTHS = 40, 10, 16


def random_tables(
    rng: np.random.Generator, neurons: int, tokens: int, sequence_length: int, types: int
) -> dict[str, pd.DataFrame]:
    """The tables that the explorer reads, by what their names begin with.

    Args:
        tokens: of the sample.
        types: token types of the vocabulary.
    """
    number = np.arange(neurons, dtype=np.int32)
    mean, std = rng.normal(0, 0.3, neurons), rng.gamma(9, 0.1, neurons)

    def noise() -> np.ndarray:
        return rng.standard_normal(neurons)

    layer = {
        "neuron": number,
        "mean": mean,
        "std": std,
        "skewness": noise(),
        "kurtosis": noise(),
        "r_spearman": noise(),
    }
    layer |= {"minimum": (mean - 5 * std).astype(np.float32), "maximum": (mean + 5 * std).astype(np.float32)}
    layer |= {f"mean_{group}": mean + 0.1 * noise() for group in ("short", "median", "long")}
    measures = ("r", "r_given_frequency", "r_given_all", "r_types", "r_std_error", "r_types_std_error", "r_null_error")
    inference = {"neuron": number, **{measure: np.tanh(0.1 * noise()) for measure in measures}}
    inference |= {"p": rng.random(neurons), "p_given_all": rng.random(neurons)}
    populations = ("tokens", "short_tokens", "types", "short_types")
    dips = {"neuron": number.astype(np.int64), "icc": rng.random(neurons)}
    dips |= {f"{what}_{of}": rng.random(neurons) for of in populations for what in ("dip", "p")}
    dips |= {f"bimodality_{of}": rng.random(neurons) for of in populations[:2]}
    weights = {"norm_in": rng.gamma(20, 0.1, neurons), "norm_out": rng.gamma(20, 0.1, neurons)}
    weights |= {"cosine_in_out": np.tanh(0.1 * noise())}
    edges = np.linspace(mean - 5 * std, mean + 5 * std, BINS + 1, axis=1).astype(np.float32)
    counts = [rng.poisson(tokens / BINS / 3, (neurons, BINS)).astype(np.int32).ravel() for _ in range(3)]
    histogram = {"neuron": number.repeat(BINS), "left": edges[:, :-1].ravel(), "right": edges[:, 1:].ravel()}
    histogram |= dict(zip(("short", "median", "long"), counts, strict=True))
    of_length = mean[:, None] + 0.1 * rng.standard_normal((neurons, LENGTHS))
    by_length = {"neuron": number.repeat(LENGTHS), "length": np.tile(np.arange(1, LENGTHS + 1), neurons)}
    by_length |= {"tokens": np.tile(tokens // np.arange(2, LENGTHS + 2), neurons), "mean": of_length.ravel()}
    by_length |= {"low": of_length.ravel() - 0.05, "high": of_length.ravel() + 0.05}
    return {
        "layer": pd.DataFrame(layer),
        "inference": pd.DataFrame(inference),
        "resamples": pd.DataFrame({"measure": ["r", "r_types"], "clusters_effective": [64.0, 3000.0]}),
        "dip": pd.DataFrame(dips),
        "weights": pd.DataFrame({"neuron": number, **weights}),
        "contexts": random_contexts(rng, mean, std, tokens, sequence_length, types),
        "neuron_histogram": pd.DataFrame(histogram),
        "by_length": pd.DataFrame(by_length),
        "token_types": random_ranks(rng, number, types, ("top", "bottom"), "mean").assign(
            tokens=rng.geometric(0.02, 2 * RANKS * neurons) + 4
        ),
        "logits": random_ranks(rng, number, types, ("promoted", "suppressed"), "logit"),
    }


def random_contexts(
    rng: np.random.Generator, mean: np.ndarray, std: np.ndarray, tokens: int, sequence_length: int, types: int
) -> pd.DataFrame:
    """Contexts of all kinds at random places; activations are those of normal distributions."""
    neurons, contexts = len(mean), sum(KINDS.values())
    place = rng.integers(0, tokens, (neurons, contexts))
    around = (place % sequence_length)[:, :, None] + np.arange(-AROUND[0], AROUND[1] + 1)
    noise = rng.standard_normal(around.shape)
    for first, sign in ((0, 1), (KINDS["most"], -1)):  # the extremes of as many tokens
        noise[:, first : first + 16, AROUND[0]] = sign * (4 + 0.5 * -np.sort(-rng.random((neurons, 16)), axis=1))
    windows = mean[:, None, None] + std[:, None, None] * noise
    values = windows[:, :, AROUND[0]].astype(np.float32)
    windows[(around < 0) | (around >= sequence_length)] = np.nan
    table = {
        "neuron": np.arange(neurons, dtype=np.int32).repeat(contexts),
        "kind": np.tile(np.repeat(list(KINDS), list(KINDS.values())), neurons),
        "rank": np.tile(np.concatenate([np.arange(count) for count in KINDS.values()]), neurons).astype(np.int8),
        "sequence": (place // sequence_length).astype(np.int32).ravel(),
        "position": (place % sequence_length).astype(np.int32).ravel(),
        "token_id": rng.integers(0, types, neurons * contexts, dtype=np.int32),
        "value": values.ravel(),
        "window": fixed_lists(windows.astype(np.float16).reshape(-1, around.shape[2])),
    }
    return pd.DataFrame(table).astype({"kind": "str"})


def random_ranks(
    rng: np.random.Generator, number: np.ndarray, types: int, kinds: tuple[str, str], value: str
) -> pd.DataFrame:
    """Token types of both kinds for each neuron, with their values in order."""
    rows = len(number) * RANKS
    values = -np.sort(-rng.standard_normal((2, len(number), RANKS)), axis=2) * np.array([1, -1])[:, None, None]
    table = {
        "neuron": np.tile(number.repeat(RANKS), 2),
        "kind": np.repeat(kinds, rows),
        "rank": np.tile(np.arange(RANKS, dtype=np.int8), 2 * len(number)),
        "token_id": rng.integers(0, types, 2 * rows, dtype=np.int32),
        value: values.astype(np.float32).ravel(),
    }
    return pd.DataFrame(table).astype({"kind": "str"}).sort_values("neuron", kind="stable", ignore_index=True)
