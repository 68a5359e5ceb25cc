"""A small folder of results, made by hand: what is in each of its files is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.provenance import sample_attributes
from layerscope.io.tables import fixed_lists, write_csv, write_table
from layerscope.tokenize.token_shards import Tokens, read_token_shard, write_token_shard

SHARDS, SEQUENCES, LENGTH, TYPES = 3, 4, 32, 40  # the first two shards are stored
NEURONS = 300  # of a layer: more than are stored together
DEPTHS = {"m": 2, "n": 3}
STATISTICS = {
    "layer": ["mean", "std", "skewness", "kurtosis", "minimum", "maximum", "mean_short", "mean_median", "mean_long"],
    "inference": ["r", "r_given_frequency", "r_given_all", "r_types", "r_std_error", "r_types_std_error", "p"],
    "dip": ["icc", "dip_tokens", "p_tokens", "dip_short_tokens", "p_short_tokens", "dip_types", "p_types"],
    "weights": ["norm_in", "norm_out", "cosine_in_out"],
}
STATISTICS["layer"] += ["r_pearson", "r_spearman"]
STATISTICS["inference"] += ["p_given_all", "r_null_error"]
STATISTICS["dip"] += ["dip_short_types", "p_short_types", "bimodality_tokens", "bimodality_short_tokens"]
EFFECTIVE = {"r": 17.5, "r_types": 30.0}  # clusters


@dataclass
class Made:
    """The folder, and what was put into it."""

    path: Path
    tokens: Tokens
    vocabulary: pd.DataFrame
    activations: dict[tuple[str, int], np.ndarray]  # model, layer → [stored tokens, neurons]


def make_results(path: Path) -> Made:
    """Make a folder of results with two models, which token_length was run on, and which are matched."""
    random = np.random.default_rng(0)
    count = SHARDS * SEQUENCES * LENGTH
    places = np.arange(count)
    arrays = random.integers(0, TYPES, count), places // LENGTH, places % LENGTH, places // 50
    tokens = Tokens(*(array.astype(np.int32) for array in arrays))
    size = SEQUENCES * LENGTH
    shards = {}
    for shard in range(SHARDS):
        file = str(path / f"tokens/t/c/shard_{shard:04d}.h5")
        of = {"tokenizer": "t", "corpus": "c", "shard": shard, "sequences": SEQUENCES, "sequence_length": LENGTH}
        write_token_shard(file, tokens.part(shard * size, (shard + 1) * size), of)
        shards[file] = read_token_shard(file)[1]
    vocabulary = pd.DataFrame({"token_id": np.arange(TYPES, dtype=np.int32)})
    vocabulary["text"] = [f" w{number}" for number in range(TYPES)]
    vocabulary["special"], vocabulary["partial"] = vocabulary["token_id"] == 0, vocabulary["token_id"] == 1
    write_table(path / "tokens/t/c/vocabulary.parquet", vocabulary, sample_attributes(shards))
    made = Made(path, tokens, vocabulary, {})
    for model, depth in DEPTHS.items():
        for layer in range(depth):
            made.activations[model, layer] = random.normal(size=(2 * size, NEURONS)).astype(np.float32)
            _write_tables(made, model, layer, random)
        _write_activations(made, model, depth, list(shards.values()))
    _write_matches(path, random)
    layers = [{"model": model, "layer": layer} for model, depth in DEPTHS.items() for layer in range(depth)]
    write_csv(path / "token_length/layers.csv", pd.DataFrame(layers))
    (path / "report.html").write_text("a report")
    return made


def window_of(contexts: int) -> np.ndarray:
    """Activations around contexts, [contexts, 21]; the first three are NaN, as at the beginning of a sequence."""
    windows = np.arange(contexts * 21, dtype=np.float16).reshape(contexts, 21) % 1000
    windows[:, :3] = np.nan
    return windows


def _write_activations(made: Made, model: str, depth: int, shards: list[dict]) -> None:
    """Stored activations, and a shard that a run before left, of other tokens."""
    size = SEQUENCES * LENGTH
    for shard in range(3):
        digest = "of other tokens" if shard == 2 else shards[shard]["digest"]
        of = {"tokenizer": "t", "corpus": "c", "model": model, "shard": shard, "sequences": SEQUENCES}
        of |= {"sequence_length": LENGTH, "token_shard": shard, "token_shard_digest": digest}
        path = made.path / f"activations/{model}/c/shard_{shard:04d}.h5"
        with ActivationShardWriter(
            path, made.tokens.part(shard * size, (shard + 1) * size), of, "float32", "none"
        ) as file:
            for layer in range(depth):
                values = made.activations[model, layer]
                file.append(
                    "mlp_pre", layer, values[:size] if shard == 2 else values[shard * size : (shard + 1) * size]
                )
            file.finish()


def _write_tables(made: Made, model: str, layer: int, random: np.random.Generator) -> None:
    folder, ids = made.path / "token_length" / model, np.arange(NEURONS, dtype=np.int32)

    def write(kind: str, table: pd.DataFrame) -> None:
        write_table(folder / f"{kind}_{layer:02d}.parquet", table)

    for kind, names in STATISTICS.items():
        if kind != "weights" or model == "m":
            table = pd.DataFrame({"neuron": ids} | {name: random.uniform(size=NEURONS) for name in names})
            write(kind, table.sample(frac=1, random_state=layer, ignore_index=True))  # in another order
    measures = {"measure": list(EFFECTIVE), "clusters_effective": list(EFFECTIVE.values())}
    write("resamples", pd.DataFrame(measures))
    places = random.integers(0, len(made.tokens), (NEURONS, 3))
    places[0] = [LENGTH - 1, LENGTH, len(made.tokens) - 1]  # ends of sequences, and of the sample
    contexts = pd.DataFrame({"neuron": np.repeat(ids, 3), "kind": ["most", "least", "random"] * NEURONS})
    contexts["rank"] = np.int8(0)
    for name in ("sequence", "position"):
        contexts[name] = getattr(made.tokens, name)[places.ravel()]
    contexts["token_id"] = made.tokens.input_ids[places.ravel()]
    contexts["value"] = random.normal(size=3 * NEURONS).astype(np.float32)
    contexts["window"] = fixed_lists(window_of(3 * NEURONS))
    write("contexts", contexts)
    write("by_length", pd.DataFrame({"neuron": np.repeat(ids, 2), "length": [3, 4] * NEURONS}))
    write("neuron_histogram", pd.DataFrame({"neuron": np.repeat(ids, 40), "left": np.tile(np.arange(40), NEURONS)}))
    write("logits", _logits(random))
    write("token_types", _token_types(made, model, layer))


def _logits(random: np.random.Generator) -> pd.DataFrame:
    table = pd.DataFrame({"neuron": np.repeat(np.arange(NEURONS, dtype=np.int32), 20)})
    table["kind"], table["rank"] = ["promoted", "suppressed"] * (10 * NEURONS), np.tile(np.arange(20) // 2, NEURONS)
    return table.assign(token_id=random.integers(0, TYPES, len(table)), logit=random.normal(size=len(table)))


def _token_types(made: Made, model: str, layer: int) -> pd.DataFrame:
    """Of the stored tokens, as if they were all; types of 5 tokens or more."""
    values = pd.DataFrame(made.activations[model, layer])
    ids = made.tokens.input_ids[: len(values)]
    groups = values.groupby(ids)
    counts = groups.size()
    means = groups.mean()[(counts >= 5) & (counts.index > 1)]
    tables = []
    for neuron in means:
        ordered = means[neuron].sort_values()
        for kind, rows in (("top", ordered[::-1][:10]), ("bottom", ordered[:10])):
            table = pd.DataFrame({"neuron": np.int32(neuron), "kind": kind, "rank": np.arange(10, dtype=np.int8)})
            tables.append(table.assign(token_id=rows.index, tokens=counts[rows.index].to_numpy(), mean=rows.to_numpy()))
    return pd.concat(tables, ignore_index=True)


def _write_matches(path: Path, random: np.random.Generator) -> None:
    neurons = NEURONS * DEPTHS["m"]
    for other_layer in range(DEPTHS["n"]):
        table = pd.DataFrame({"layer": np.repeat(range(DEPTHS["m"]), NEURONS)})
        table["neuron"] = np.tile(np.arange(NEURONS, dtype=np.int32), DEPTHS["m"])
        table["other_layer"], table["other_neuron"] = other_layer, random.integers(0, NEURONS, neurons)
        for measure in ("r", *(f"r_rotated_{rotation}" for rotation in range(5))):
            table[measure] = random.uniform(size=neurons)
            table.loc[7, measure] = np.nan  # a neuron that never varies
        table.loc[7, "other_neuron"] = -1
        write_table(path / f"token_length/m/matches_n_{other_layer:02d}.parquet", table)
        back = pd.DataFrame({"layer": other_layer, "neuron": np.arange(NEURONS, dtype=np.int32)})
        back["other_layer"], back["other_neuron"] = (random.integers(0, end, NEURONS) for end in (DEPTHS["m"], NEURONS))
        back["r"] = random.uniform(size=NEURONS)
        back.loc[3, ["other_layer", "other_neuron"]] = -1
        back.loc[3, "r"] = np.nan
        write_table(path / f"token_length/n/best_in_m_{other_layer:02d}.parquet", back)
