"""How far r with token length moves when activations are computed or stored in fewer bits, or in other batches.

    python benchmarks/precision.py [--sequences 32]

Of every neuron of the embedded models on the embedded corpus: |r - r computed and stored in float32|, as quantiles over
the neurons of a layer, for each compute and storage precision, and for other batch sizes than ``auto``. Exits with 1 if
one moves further than its budget, which docs/statistics.md states.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from layerscope.extract.activation_shards import LayerReader
from layerscope.extract.store_activations import extract_shard
from layerscope.studies.token_length.length_groups import token_lengths
from layerscope.tokenize.documents import local_documents
from layerscope.tokenize.encoding import encode_part
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.token_shards import Tokens, write_token_shard
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.tokenize.vocabulary import vocabulary_table

PROJECT = Path(__file__).parents[1]
MODELS = {"neo-2m": 4, "neo-8m": 8}
KEYS = ["computed", "stored", "batch"]
# Of KEYS: how far the r of a neuron may move.
BUDGET: dict[tuple[str, str, int | str], float] = {
    ("float32", "float32", "auto"): 0.0,
    ("float32", "float32", 1): 1e-6,
    ("float32", "float32", 8): 1e-6,
    ("float32", "float16", "auto"): 5e-5,
    ("float16", "float32", "auto"): 2e-4,
    ("float16", "float16", "auto"): 2e-4,
    ("bfloat16", "float32", "auto"): 5e-3,
    ("bfloat16", "float16", "auto"): 5e-3,
}


def record(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "source": path, "commit": None, "content": None, "path": str(PROJECT / path)}


def r_of_layers(
    folder: Path, vocabulary: pd.DataFrame, model: str, dtype: str, storage: str, batch: int | str
) -> list[np.ndarray]:
    """r of every neuron, by layer."""
    spec = {"sites": ["mlp_pre"], "dtype": dtype, "batch_size": batch, "storage_dtype": storage, "compression": "none"}
    source = record(model, f"resources/models/{model}") | {"model_type": "gpt_neo", "weights": "trained"}
    shard = folder / "shard.h5"
    extract_shard(str(folder / "tokens.h5"), source, spec, "auto", 2, shard)
    found = []
    for layer in range(MODELS[model]):
        with LayerReader([str(shard)], "mlp_pre", layer) as reader:
            sample = token_lengths(vocabulary, reader.tokens().input_ids)
            blocks = [values for _, values in reader.blocks(sample.keep)]
            found.append(pearsonr(np.concatenate(blocks).astype(np.float64), sample.lengths, axis=1).statistic)
    return found


def tokens_of(folder: Path, sequences: int) -> Tokens:
    sampling = {"sequence_length": 512, "sequences_per_shard": sequences}
    corpus = record("embedded", "resources/corpus/documents.jsonl")
    corpus |= {"source": corpus["path"], "text_field": "text", **dict.fromkeys(("subset", "split"))}
    documents = folder / "part_0000.h5"
    encode_part(corpus, record("mini", "resources/tokenizers/mini"), 0, None, local_documents, documents)
    tokens, attributes = tokenize_shard([str(documents)], sampling, 0)
    write_token_shard(folder / "tokens.h5", tokens, attributes)
    return tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=32)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = tokens_of(folder, args.sequences)
        tokenizer = load_tokenizer(record("mini", "resources/tokenizers/mini"))
        types = frequency_table(tokenizer, [tokens.input_ids], len(tokens))
        vocabulary = vocabulary_table(types, tokens.input_ids)
        for model in MODELS:
            exact = r_of_layers(folder, vocabulary, model, "float32", "float32", "auto")
            for key in BUDGET:
                for layer, r in enumerate(r_of_layers(folder, vocabulary, model, *key)):
                    row = dict(zip(KEYS, key, strict=True)) | {"model": model, "layer": layer}
                    quantiles = np.quantile(np.abs(r - exact[layer]), [0.5, 0.99, 1])
                    rows.append(row | dict(zip(["median", "q99", "maximum"], quantiles, strict=True)))
    table = pd.DataFrame(rows)
    shown = {"float_format": "{:.1e}".format, "index": False}
    print(table.to_string(**shown))
    worst = table.drop(columns=["model", "layer"]).groupby(KEYS, sort=False).max().reset_index()
    worst["budget"] = [BUDGET[key] for key in worst[KEYS].itertuples(index=False, name=None)]
    print(f"\nworst layer of all, on {len(tokens):,} tokens\n{worst.to_string(**shown)}")
    sys.exit(bool((worst["maximum"] > worst["budget"]).any()))


if __name__ == "__main__":
    main()
