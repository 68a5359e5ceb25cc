"""Claims, dip tests, path lengths and similarities of simulated models without the effects that are tested for."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from calibration_r import BATCH, Neurons
from calibration_text import Text

from layerscope.io.tables import write_table
from layerscope.stats.intervals import student_quantile
from layerscope.stats.jackknife import jackknife_error
from layerscope.studies.path_length.comoments import comoments_of, filters_of
from layerscope.studies.path_length.jackknife import Summary, linear_summaries, rank_summaries
from layerscope.studies.path_length.lengths import QUANTITIES
from layerscope.studies.path_length.sample import PathSample
from layerscope.studies.token_length import claims as length_claims
from layerscope.studies.token_length.dip_test import SMALLEST_P
from layerscope.studies.token_length.resample_layer import resample_neurons
from layerscope.studies.token_length.sample_claims import SampleLengths
from layerscope.studies.token_length.summarize_multimodality import multimodality_table
from layerscope.studies.token_length.unimodality_test import Populations, dip_table
from layerscope.studies.token_similarity import claims as similarity_claims
from layerscope.studies.token_similarity.jackknife import jackknife_layer
from layerscope.tokenize.token_shards import Tokens

NEURONS, RESAMPLES = 32, 200
MODELS = {"small": 4, "large": 5}
SENTENCES, DIMENSIONS, SHARED = 54, 32, 3
PATHS, TRUE_R = 4, 0.3  # layers, and r of their path lengths


def token_length_claims(pool: Text, tokens: int, rng: np.random.Generator) -> pd.DataFrame:
    """Claims on two models whose neurons do not depend on length and are unimodal."""
    sample = pool.draw(rng, tokens)
    seed = int(rng.integers(2**31))
    resamples = sample.resamples(RESAMPLES, seed)
    populations = Populations.of(sample.token_lengths, sample.types)
    evidence = {}
    with tempfile.TemporaryDirectory() as folder:
        for model, layers in MODELS.items():
            tables, paths = [], []
            for layer in range(layers):
                rows = Neurons(pool, "shared", np.zeros(NEURONS), rng).read(sample)
                tables.append(resample_neurons(resamples, [(sample.summary(rows).neurons, rows)])[1])
                paths.append(str(Path(folder) / f"{model}_{layer}.parquet"))
                write_table(paths[-1], dip_table(rows, populations))
            multimodality = multimodality_table({model: paths}, {model: paths})
            evidence[model] = length_claims.Evidence.of(tables, multimodality)
    lengths = pd.DataFrame({"document": sample.documents, "length": sample.lengths}).value_counts().reset_index()
    return length_claims.claims_table(evidence, [list(MODELS)], [], {"text": SampleLengths(lengths)})


def dips(pool: Text, tokens: int, kind: str, rng: np.random.Generator) -> dict[str, float]:
    """Shares of unimodal neurons that pass the dip test over types."""
    sample = pool.draw(rng, tokens)
    rows = Neurons(pool, kind, np.zeros(NEURONS), rng).read(sample)
    p = dip_table(rows, Populations.of(sample.token_lengths, sample.types))["p_types"]
    return {"p <= 5%": (p <= 0.05).mean(), "p <= 1e-5": (p <= SMALLEST_P).mean()}


def path_lengths(pool: Text, tokens: int, sets: int, seed: int) -> pd.DataFrame:
    """Summaries of layers whose MLP path correlates with the residual stream's, one row per data set and layer."""
    rows = []
    for batch in range(sets // BATCH):
        rng = np.random.default_rng([seed, batch])
        resid, own = (Neurons(pool, "plain", np.zeros(PATHS), rng) for _ in range(2))
        for _ in range(BATCH):
            sample = pool.draw(rng, tokens)
            of = resid.read(sample)
            path = 10 + TRUE_R * of + (1 - TRUE_R**2) ** 0.5 * own.read(sample)
            summaries = _path_summaries(path, of, sample.documents)
            for layer in range(PATHS):
                row = {"layer": batch * PATHS + layer}
                for name, summary in summaries.items():
                    row[f"value {name}"] = summary.observed[layer]
                    row[f"error {name}"] = float(jackknife_error(summary.jackknife[layer]))
                    row[f"quantile {name}"] = student_quantile(summary.clusters_effective - 1)
                rows.append(row)
    return pd.DataFrame(rows)


def _path_summaries(path: np.ndarray, resid: np.ndarray, documents: np.ndarray) -> dict[str, Summary]:
    """Of path lengths [layers, tokens] of the MLP and the residual stream, none at the first of a sequence."""
    values = dict.fromkeys(QUANTITIES, path) | {"path_resid": resid}
    tokens, every = Tokens(*[np.ones_like(documents)] * 3, documents), np.ones(len(documents), dtype=bool)
    sample = PathSample(comoments_of(values, tokens, every), {}, values, tokens, filters_of(tokens, every))
    found = linear_summaries(sample.comoments) | rank_summaries(sample)
    return {"r": found["r_mlp"], "rho": found["rho_mlp"], "mean length": found["length_mlp"]}


def similarity_claims_of(rng: np.random.Generator) -> pd.DataFrame:
    """Claims on two layers whose dimensions are alike to the same degree: they share SHARED signals."""
    tables = []
    for layer in range(2):
        shared = rng.normal(size=(SENTENCES, SHARED))
        vectors = {
            site: 0.5 + shared @ rng.normal(size=(SHARED, DIMENSIONS)) * 0.4 + rng.normal(size=(SENTENCES, DIMENSIONS))
            for site in "qkv"
        }
        tables.append(jackknife_layer(vectors, 0).assign(layer=layer))
    return similarity_claims.claims_table({"model": pd.concat(tables)}, [])
