"""What matching the neurons of two models costs, beside the matrix products alone.

    python benchmarks/matching.py [--layers 12] [--rounds 3]

The neurons of layers of GPT-Neo 125M's width are matched with those of one layer of GPT-Neo 1.3B's width, on 8,192
tokens of noise that some neurons share. The products alone are those of all pairs of neurons over all tokens, twice:
with the layer as it is and with one rotated layer. Each round runs both, each in a process of its own, on all cores:

- products: as one call of BLAS for each of the layers, twice; the start of the process is not counted;
- job: what the workflow's script runs, from the start of the process to the table.

The whole of the two models is 24 such jobs of 12 layers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from extraction import peak_mib

TOKENS, WIDTH, OTHER, DOCUMENTS = 8192, 3072, 8192, 40


def prepare(folder: Path, layers: int) -> None:
    """Save activations and the tables that matching reads."""
    import numpy as np
    import pandas as pd

    from layerscope.extract.writer import ActivationShardWriter
    from layerscope.io.files import write_json
    from layerscope.io.tables import write_table
    from layerscope.tokenize.token_shards import Tokens

    rng, places = np.random.default_rng(0), np.arange(TOKENS, dtype=np.int32)
    types = pd.DataFrame({"characters": rng.integers(1, 12, 2000), "special": np.arange(2000) == 0, "partial": False})
    write_table(folder / "vocabulary.parquet", types)
    ids = rng.integers(0, len(types), TOKENS).astype(np.int32)
    tokens = Tokens(ids, places // 512, places % 512, np.sort(rng.integers(0, DOCUMENTS, TOKENS)).astype(np.int32))
    other = rng.standard_normal((TOKENS, OTHER), dtype=np.float32)
    for name, count in (("other", 1), ("model", layers)):
        with ActivationShardWriter(folder / f"{name}.h5", tokens, {}, "float32", "none") as writer:
            for layer in range(count):
                values = other
                if name == "model":
                    values = rng.standard_normal((TOKENS, WIDTH), dtype=np.float32)
                    values[:, ::3] += other[:, rng.integers(0, OTHER, WIDTH // 3)]
                writer.append("mlp_pre", layer, values)
                table = pd.DataFrame({"neuron": np.arange(values.shape[1]), "mean": values.mean(axis=0)})
                write_table(folder / f"{name}_{layer:02d}.parquet", table.assign(std=values.std(axis=0)))
            write_json(folder / f"{name}.json", writer.finish())


def products(folder: Path, layers: int) -> dict[str, float]:
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((TOKENS, width), dtype=np.float32) for width in (WIDTH, OTHER))
    result = np.zeros((WIDTH, OTHER), dtype=np.float32)
    started = time.perf_counter()
    for _ in range(2 * layers):
        np.matmul(x.T, y, out=result)
    return {"seconds": time.perf_counter() - started}


def job(folder: Path, layers: int) -> dict[str, float]:
    from layerscope.io.tables import read_table, write_table
    from layerscope.studies.token_length.match_layer import match_layer

    tables = [str(folder / f"model_{layer:02d}.parquet") for layer in range(layers)]
    other = [str(folder / "other.h5")], str(folder / "other_00.parquet")
    vocabulary, threads = read_table(folder / "vocabulary.parquet"), len(os.sched_getaffinity(0))
    table, _ = match_layer([str(folder / "model.h5")], tables, *other, vocabulary, 0, 0, threads)
    write_table(folder / "matches.parquet", table)
    return {"peak_mib": peak_mib()}


def run(what: str, folder: Path, layers: int) -> dict[str, float]:
    """Run one part in a process of its own: wall seconds, if it has none of its own, and what it measured."""
    command = [sys.executable, __file__, "--part", what, "--folder", str(folder), "--layers", str(layers)]
    threads = {"OPENBLAS_NUM_THREADS": "1"} if what == "job" else {}  # as in the script
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **threads})
    return {"seconds": time.perf_counter() - started, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12, help="of GPT-Neo 125M's width")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=["products", "job"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps({"products": products, "job": job}[args.part](args.folder, args.layers)))
        return
    parts, rounds = ("products", "job"), []
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), args.layers)
        for _ in range(args.rounds):
            rounds.append({what: run(what, Path(name), args.layers) for what in parts})
    product, whole = (statistics.median(one[what]["seconds"] for one in rounds) for what in parts)
    ratio = statistics.median(one["job"]["seconds"] / one["products"]["seconds"] for one in rounds)
    print(f"{args.layers} layers of {WIDTH:,} neurons with one of {OTHER:,}, {TOKENS:,} tokens:", end=" ")
    print(f"products {product:.1f} s, job {whole:.1f} s, {rounds[0]['job']['peak_mib']:.0f} MiB;", end=" ")
    print(f"ratio {ratio:.2f}, median of {args.rounds}")


if __name__ == "__main__":
    main()
