"""How often claims are supported where they should not be, how often intervals hold the truth, and what is seen.

    python benchmarks/calibration.py [--sets 200]

Every data set is made up: text with types of Zipf's frequencies, whose lengths fall with frequency; neurons that share
a few signals, in which tokens of a type and tokens of a sequence are alike. First without any signal, each claim at the
edge of what it says or beyond it, then with a signal. Nothing is read but what the jobs themselves compute.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from layerscope.path_length import claims as path_claims
from layerscope.path_length.lengths import QUANTITIES
from layerscope.path_length.shards import write_path_shard
from layerscope.path_length.uncertainty import resample_paths
from layerscope.tables import write_table
from layerscope.token_length import claims as length_claims
from layerscope.token_length.assess import LayerDraws, assess
from layerscope.token_length.groups import TokenLengths
from layerscope.token_length.modality import Populations, modality_table
from layerscope.token_length.multimodality import multimodality_table
from layerscope.token_similarity import claims as similarity_claims
from layerscope.token_similarity.jackknife import jackknife_layer
from layerscope.tokenize.token_shards import Tokens

TYPES, SEQUENCES, LENGTH, NEURONS, SIGNALS, DRAWS = 300, 40, 40, 30, 8, 100
LAYERS = {"small": 4, "large": 5}
SENTENCES, DIMENSIONS = 54, 32
# The truth of the effects that have one in data without a signal.
TRUTH = {
    "long_tokens_shifted_down": 0.0,
    "first_layer_positive": 0.0,
    "last_layers_shrink": 0.0,
    "similarity_falls": 0.0,
    "fall_beyond_mean_over_spread": 0.0,
    "mlp_follows_more": 0.0,
    "attn_mlp_near_orthogonal": 0.1,
}


class Text:
    """One sample of text: its types are drawn anew with every data set, as chance and intervals suppose."""

    def __init__(self, rng: np.random.Generator) -> None:
        frequency = 1 / np.arange(1, TYPES + 1)
        log_frequency = np.log(frequency)
        lengths = np.clip(np.round(1 - 0.6 * log_frequency + 1.5 * rng.normal(size=TYPES)), 1, 12)
        self.types = rng.choice(TYPES, SEQUENCES * LENGTH, p=frequency / frequency.sum())
        self.sequences = np.repeat(np.arange(SEQUENCES), LENGTH)
        self.position = np.tile(np.arange(LENGTH), SEQUENCES)
        of_tokens = lengths[self.types]
        self.lengths = TokenLengths(np.ones(len(of_tokens), dtype=bool), of_tokens, float(np.median(of_tokens)))
        self.rarity = -(log_frequency[self.types] - log_frequency[self.types].mean()) / log_frequency[self.types].std()
        space = rng.random(TYPES) < 0.5
        self.controls = pd.DataFrame(
            {
                "log_frequency": log_frequency[self.types],
                "leading_space": space[self.types].astype(float),
                "position": self.position.astype(float),
            }
        )
        self.rng = rng

    def values(self, rows: int) -> np.ndarray:
        """Values [rows, tokens] that know nothing of length."""
        of_type = self.rng.normal(size=(rows, TYPES))[:, self.types]
        of_sequence = self.rng.normal(size=(rows, SEQUENCES))[:, self.sequences]
        return 0.7 * of_type + 0.3 * of_sequence + 0.65 * self.rng.normal(size=(rows, len(self.types)))

    def layer(self, effects: np.ndarray | float) -> np.ndarray:
        """Neurons [neurons, tokens] that share signals, and rise by ``effects`` with rarity, and so with length."""
        shared = self.rng.normal(size=(NEURONS, SIGNALS)) @ self.values(SIGNALS) / SIGNALS**0.5
        return 0.8 * shared + 0.6 * self.values(NEURONS) + np.reshape(effects, (-1, 1)) * self.rarity


def token_length(rng: np.random.Generator, signal: bool) -> pd.DataFrame:
    text = Text(rng)
    draws = LayerDraws(text.lengths, text.types, text.sequences, text.controls, DRAWS, 0)
    populations = Populations.of(text.lengths, text.types)
    evidence = {}
    with tempfile.TemporaryDirectory() as folder:
        for model, layers in LAYERS.items():
            tables, paths = [], []
            for layer in range(layers):
                rows = text.layer(planted(rng, layer, layers, model) if signal else 0.0)
                if signal and layer == layers - 1:
                    high = rng.random((NEURONS, TYPES)) < 0.5
                    rows = rows + 6 * high[:, text.types]
                tables.append(assess(draws, [rows])[1])
                paths.append(str(Path(folder) / f"{model}_{layer}.parquet"))
                write_table(paths[-1], modality_table(rows, populations))
            modality = multimodality_table({model: paths}, {model: paths})
            lengths = pd.DataFrame({"sequence": text.sequences, "length": text.lengths.lengths}).value_counts()
            evidence[model] = length_claims.Evidence.of(tables, modality, lengths.reset_index())
    table = length_claims.claims_table(evidence, [list(LAYERS)], [])
    return table[~table["claim"].isin(["lengths_1_to_16", "median_length_4"])]


def planted(rng: np.random.Generator, layer: int, layers: int, model: str) -> np.ndarray:
    """Weakly negative in all of the small model; in the large positive, then negative of all sizes, then none."""
    if model == "small":
        return -0.15 + 0.02 * rng.normal(size=NEURONS)
    if layer == layers - 1:
        return np.zeros(NEURONS)
    return 0.25 + 0.05 * rng.normal(size=NEURONS) if layer == 0 else -0.4 + 0.4 * rng.normal(size=NEURONS)


def token_similarity(rng: np.random.Generator, signal: bool) -> pd.DataFrame:
    """Without a signal: dimensions alike in both layers, as far from independent ones as the claim allows."""
    tables = []
    for layer in range(2):
        shared, mean = ((0.6, 1.0) if layer == 0 else (0.0, 0.0)) if signal else (EDGE, 0.0)
        common = np.sqrt(shared) * rng.normal(size=(SENTENCES, 1))
        own = {site: rng.normal(size=(SENTENCES, DIMENSIONS)) * np.sqrt(1 - shared) for site in "qkv"}
        vectors = {site: values + common + mean for site, values in own.items()}
        tables.append(jackknife_layer(vectors, 0).assign(layer=layer))
    return similarity_claims.claims_table({"model": pd.concat(tables)}, [])


def edge_of_similarity() -> float:
    """The shared variance at which the mean absolute cosine is 1.5 times that of independent values."""
    rng = np.random.default_rng(0)

    def excess(shared: float) -> float:
        x, y = (np.sqrt(1 - shared) * rng.normal(size=(2, 100_000, SENTENCES)) + np.sqrt(shared) * rng.normal(
            size=(100_000, SENTENCES)
        ))  # fmt: skip
        cosines = np.abs((x * y).sum(1)) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
        return float(cosines.mean()) / similarity_claims.independent(SENTENCES) - 1.5

    low, high = 0.0, 0.9
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return (low + high) / 2


EDGE = edge_of_similarity()


def path_length(rng: np.random.Generator, signal: bool) -> pd.DataFrame:
    text, layers = Text(rng), 8
    values = {name: text.values(layers) for name in QUANTITIES}
    resid = text.values(layers)
    values["path_resid"] = 10 + resid
    for name, follows in (("path_attn", 0.4), ("path_mlp", 1.2 if signal else 0.4)):
        values[name] = 10 + follows * resid + values[name]
    values["cosine_attn_mlp"] = (0.0 if signal else 0.1) + 0.3 * values["cosine_attn_mlp"]
    if signal:
        values["path_resid"][-1] += 5
        values["path_mlp"][:, text.position == 0] -= 30
        values["path_resid"][:, text.position == 0] += 30
    else:  # r with the first token lies 0.2 below r without
        values["path_mlp"][:, text.position == 0] -= FIRST
        values["path_resid"][:, text.position == 0] += FIRST
    columns = (text.types, text.sequences, text.position, text.sequences)
    tokens = Tokens(*(column.astype(np.int32) for column in columns))
    with tempfile.TemporaryDirectory() as folder:
        shard = str(Path(folder) / "shard_0000.h5")
        write_path_shard(shard, {name: array.astype(np.float32) for name, array in values.items()}, tokens, {})
        return path_claims.claims_table({"model": resample_paths([shard])}, [])


# What brings the r of path_length below, 0.37, down by 0.2, when one token of each sequence lies as far out: with the
# share p of such tokens, (0.4 - p(1-p)F²) / sqrt((1.16 + p(1-p)F²)(1 + p(1-p)F²)) = 0.17.
FIRST = (0.185 / (1 / LENGTH * (1 - 1 / LENGTH))) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="data sets of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started, found = time.perf_counter(), []
    for study in (token_length, token_similarity, path_length):
        for signal in (False, True):
            for number in range(arguments.sets):
                table = study(np.random.default_rng([arguments.seed, number, signal]), signal)
                found.append(table.assign(signal=signal))
    print(summary(pd.concat(found)).to_string())
    print(f"{arguments.sets} data sets of each kind, {time.perf_counter() - started:.0f} s")


def summary(claims: pd.DataFrame) -> pd.DataFrame:
    """By claim: the share of data sets that support it, without and with a signal, and of intervals with the truth."""
    rows = []
    for (claim, models), table in claims.groupby(["claim", "models"], sort=False):
        nothing, something = table[~table["signal"]], table[table["signal"]]
        row: dict[str, Any] = {"claim": claim, "models": models}
        row["supported without"] = (nothing["verdict"] == "supported").mean()
        row["refused without"] = (nothing["verdict"] == "not supported").mean()
        if claim in TRUTH:
            truth = TRUTH[str(claim)]
            row["interval holds truth"] = ((nothing["low"] <= truth) & (nothing["high"] >= truth)).mean()
        row["effect without"] = nothing["effect"].mean()
        row["supported with"] = (something["verdict"] == "supported").mean()
        rows.append(row)
    return pd.DataFrame(rows).set_index(["claim", "models"]).round(3)


if __name__ == "__main__":
    main()
