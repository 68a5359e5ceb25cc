"""How long the explorer takes to write, and how large it is, for a model of GPT-Neo 1.3B's shape.

    python benchmarks/explorer.py [--layers 24] [--neurons 8192] [--tokens 65536] [--processes 2]

Tables are random, of a layer's exact size. Those of each layer are made, written, read and shown in turn, so that the
disk holds few at a time; only reading and what follows counts as the time of the explorer.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.explorer.columns import columns_of, write_columns
from layerscope.explorer.corpus_text import write_chunks
from layerscope.explorer.index import write_index
from layerscope.explorer.layer_file import write_layer_files
from layerscope.explorer.manifest import manifest
from layerscope.explorer.packed import write_script
from layerscope.io.tables import read_table, write_table
from layerscope.read import NEURON_TABLES
from layerscope.read.neurons_table import neurons_table
from layerscope.tokenize.token_shards import Tokens

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from layer_tables import random_tables

MODEL, TOKENIZER, TYPES, LENGTH = "shape", "gpt2", 50_257, 512


def write_layer(folder: Path, layers: int, neurons: int, tokens: int, layer: int) -> tuple[float, pd.DataFrame]:
    """Seconds that the files of a layer take, and its table of neurons."""
    with tempfile.TemporaryDirectory(dir=folder) as tables:
        paths = {}
        for kind, table in random_tables(np.random.default_rng(layer), neurons, tokens, LENGTH, TYPES).items():
            paths[kind] = Path(tables) / f"{kind}_{layer:02d}.parquet"
            write_table(paths[kind], table)
        start = time.perf_counter()
        read = {kind: read_table(path) for kind, path in paths.items()}
        write_layer_files(folder / f"data/{MODEL}/layer_{layer:02d}", MODEL, layer, layers, read, None, LENGTH)
        seconds = time.perf_counter() - start
    return seconds, neurons_table(MODEL, layer, layers, {kind: read[kind] for kind in NEURON_TABLES}, None)


def write_rest(folder: Path, layers: list[pd.DataFrame], tokens: int) -> None:
    """Columns, tokens, vocabulary and page."""
    columns = [folder / f"data/{MODEL}/columns/{name}.js" for name in columns_of(matched=False)]
    write_columns(map(str, columns), MODEL, layers)
    rng, numbers = np.random.default_rng(0), np.arange(tokens, dtype=np.int32)
    ids = rng.zipf(1.1, tokens) % TYPES
    sample = Tokens(ids.astype(np.int32), numbers // LENGTH, numbers % LENGTH, numbers // 600)
    write_chunks(folder / f"data/tokens/{TOKENIZER}", TOKENIZER, sample, LENGTH)
    arrays = {
        "bytes": rng.integers(97, 123, 7 * TYPES).astype(np.uint8),
        "ends": np.arange(7, 7 * TYPES + 1, 7, dtype=np.uint32),
        "flags": np.zeros(TYPES, np.uint8),
        "count": np.bincount(ids, minlength=TYPES).astype(np.uint32),
        "characters": np.full(TYPES, 7, np.uint8),
    }
    write_script(folder / f"data/vocabulary/{TOKENIZER}.js", f"vocabulary/{TOKENIZER}", arrays)
    models = {MODEL: {"tokenizer": TOKENIZER, "weights": "random", "matched": None}}
    spec = {"corpus": "random", "sequence_length": LENGTH, "models": models}
    write_index(folder / "index.html", manifest(spec, {MODEL: list(map(len, layers))}, {TOKENIZER: TYPES}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, value in {"layers": 24, "neurons": 8192, "tokens": 65_536, "processes": 2}.items():
        parser.add_argument(f"--{option}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ProcessPoolExecutor(options.processes) as pool:
        folder = Path(temporary)
        one = partial(write_layer, folder, options.layers, options.neurons, options.tokens)
        done = list(pool.map(one, range(options.layers)))
        seconds = sum(taken for taken, _ in done)
        start = time.perf_counter()
        write_rest(folder, [table for _, table in done], options.tokens)
        rest = time.perf_counter() - start
        print(f"layers: {seconds:.0f} s in all, {seconds / options.layers:.1f} s each; all else: {rest:.0f} s")
        print(f"in {options.processes} processes: {seconds / options.processes + rest:.0f} s")
        sizes = {path: path.stat().st_size / 1e6 for path in folder.rglob("*") if path.is_file()}
        largest = max(sizes, key=sizes.__getitem__)
        name, most = largest.relative_to(folder), sizes[largest]
        print(f"{sum(sizes.values()):.0f} MB in {len(sizes)} files; largest {name}, {most:.1f} MB")
        print(f"page: {sizes[folder / 'index.html']:.2f} MB")


if __name__ == "__main__":
    main()
