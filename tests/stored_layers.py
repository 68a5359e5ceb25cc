"""A sample of two layers with neurons that have a property of their own, as summaries and activation shards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.files import write_json
from layerscope.summarize.summarize_shard import SummarySpec, reducer_of, write
from layerscope.tokenize.token_shards import Tokens

TOKENS, NEURONS, LENGTH = 900, 13, 10
SPEC: SummarySpec = {"site": "mlp_pre", "token_types": 8192}
PLANTED, CONSTANT, OFFSET, TIED = 3, 5, 7, 9  # neurons with a property of their own
SPECIAL, PARTIAL = 0, 1  # token ids
VOCABULARY = pd.DataFrame(
    {
        "characters": [13, 1, *(1 + i % 9 for i in range(40))],
        "leading_space": [i % 3 == 0 for i in range(42)],
        "special": [i == SPECIAL for i in range(42)],
        "partial": [i == PARTIAL for i in range(42)],
    }
)
RANDOM = np.random.default_rng(3)
INPUT_IDS = np.concatenate([[SPECIAL], RANDOM.integers(0, 42, TOKENS - 1)]).astype(np.int32)
VOCABULARY["corpus_count"] = np.bincount(INPUT_IDS, minlength=42)
KEPT = [i for i in range(TOKENS) if INPUT_IDS[i] > PARTIAL]
LENGTHS = np.array([VOCABULARY["characters"][INPUT_IDS[i]] for i in KEPT])
MEDIAN = np.median(LENGTHS)
MEMBERS = {"short": LENGTHS < MEDIAN, "median": LENGTHS == MEDIAN, "long": LENGTHS > MEDIAN}


def activations() -> np.ndarray:
    values = RANDOM.normal(size=(TOKENS, NEURONS))
    characters = VOCABULARY["characters"].to_numpy()[INPUT_IDS]
    values[:, PLANTED] += 0.8 * characters
    values[:, CONSTANT] = 0.1
    values[:, OFFSET] = 20 + 1e-4 * values[:, OFFSET]
    values[:, TIED] = np.round(values[:, TIED] - 0.2 * characters)
    # An activation of a token that does not take part would spoil every statistic.
    values[INPUT_IDS <= PARTIAL] = -40
    values[KEPT[-1], 0] = 30.01  # the largest of all; twice it is 60.03 in half precision
    return values.astype(np.float32)


LAYERS = [activations(), 2 * activations()]


def write_shards(
    folder: Path,
    shards: int,
    storage_dtype: str = "float32",
    ids: np.ndarray = INPUT_IDS,
    layers: Sequence[np.ndarray] = LAYERS,
    stored: float = 1.0,
) -> tuple[list[str], list[str], list[str]]:
    """A sample as summaries, made in float64, and activation shards of part of it, written in batches.

    Returns:
        Paths of summaries, of activation shards, and of their manifests.
    """
    summaries, paths, manifests = [], [], []
    places = np.arange(len(ids))
    whole = Tokens(*(a.astype(np.int32) for a in (ids, places // LENGTH, places % LENGTH, places // 75)))
    for shard, rows in enumerate(np.array_split(places, shards)):
        tokens, name = whole.part(rows[0], rows[-1] + 1), f"shard_{shard:04d}.h5"
        attributes = {"sequence_length": LENGTH, "shard": shard}
        reducer = reducer_of(SPEC, tokens, attributes, VOCABULARY, "m", 0)
        for layer, values in enumerate(layers):
            batch = torch.from_numpy(values[rows].astype(np.float64)).unflatten(0, (-1, LENGTH))
            reducer.receive("mlp_pre", layer, batch, slice(0, len(batch)))
        summaries.append(str(folder / "summaries" / name))
        write(summaries[-1], SPEC, reducer, attributes)
        if rows[0] >= stored * len(ids):
            continue
        path = folder / name
        with ActivationShardWriter(path, tokens, {}, storage_dtype, "none") as writer:
            for layer, values in enumerate(layers):
                for batch in np.array_split(values[rows], 3):
                    writer.append("mlp_pre", layer, batch)
            manifest = writer.finish()
        write_json(path.with_suffix(".json"), manifest)
        paths.append(str(path))
        manifests.append(str(path.with_suffix(".json")))
    return summaries, paths, manifests
