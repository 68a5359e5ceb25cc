"""What the summary of a shard costs, beside a bare forward pass, as the number of tokens grows.

    python benchmarks/summaries.py [--tokens 65536 262144 1048576] [--folder FOLDER] [--figure docs/memory.png]

On GPT-Neo 125M's exact shape with random weights, and tokens that follow Zipf's law in documents of 200 to 1,000,
behind one token of each class, so that all sizes have as many sums as the configuration allows. For each number of
tokens, each in a process of its own:

- job: the job that summarises a shard of that many tokens, as the workflow's script runs it, from opening the model to
  the file. Before every fourth of its passes comes a bare forward pass of the same batch, so that both meet the same
  machine. The time of the job, without those, over what they would take for all batches; the time within the reducer,
  the peak memory, and the bytes of the summary over those of the activations;
- layer: the job that correlates a layer and the one that resamples it, of the summary and of 65,536 stored tokens, and
  the one that tests these for unimodality, on one core; how far r is from one whose sums are float64, made in the same
  passes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extraction import SHAPE, peak_mib

LENGTH, STORED, WIDTH, LAYER, TOKEN_TYPES = 512, 65_536, 3072, 3, 8192
BARE = 4  # passes, of which one is preceded by a bare one


def prepare(folder: Path, tokens: int) -> None:
    """Save the model, the table of token types, and a token shard."""
    import numpy as np
    import pandas as pd
    import torch
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    from layerscope.io.files import write_json
    from layerscope.io.tables import write_table
    from layerscope.summarize.token_classes import token_classes
    from layerscope.tokenize.token_shards import Tokens, write_token_shard
    from layerscope.tokenize.vocabulary import vocabulary_table

    rng, size = np.random.default_rng(0), SHAPE["vocab_size"]
    if not (folder / "model").is_dir():
        torch.manual_seed(0)
        GPTNeoForCausalLM(GPTNeoConfig.from_dict(SHAPE)).save_pretrained(folder / "model")
        record = {"name": "shape", "source": "random", "commit": None, "content": None}
        record |= {"path": str(folder / "model"), "model_type": "gpt_neo", "weights": "trained"}
        write_json(folder / "model.json", record)
    counts = (1e6 / np.arange(3, size + 3)).astype(int)
    types = pd.DataFrame({"characters": rng.integers(1, 12, size), "leading_space": rng.random(size) < 0.6})
    types = types.assign(special=np.arange(size) == size - 1, partial=False, corpus_count=counts)
    write_table(folder / "types.parquet", types)
    ids = rng.choice(size, tokens, p=counts / counts.sum()).astype(np.int32)
    _, first = np.unique(token_classes(types, TOKEN_TYPES), return_index=True)
    ids[: len(first)] = rng.permutation(first)
    documents = np.repeat(np.arange(tokens // 200), rng.integers(200, 1000, tokens // 200))[:tokens].astype(np.int32)
    places = np.arange(tokens, dtype=np.int32)
    sample = Tokens(ids, places // LENGTH, places % LENGTH, documents)
    attributes = {"sequences": tokens // LENGTH, "sequence_length": LENGTH, "tokenizer": "none", "corpus": "zipf"}
    write_token_shard(folder / f"tokens_{tokens}.h5", sample, {**attributes, "shard": 0})
    write_table(folder / f"vocabulary_{tokens}.parquet", vocabulary_table(types, ids))


class ExactR:
    """Pearson's r of the neurons of a layer with the length of the token, in float64 all along."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        from layerscope.io.tables import read_table

        types = read_table(folder / "types.parquet")
        self.lengths, self.special = types["characters"].to_numpy(float), types["special"].to_numpy()
        self.pilot, self.of_neurons, self.of_tokens = None, 0.0, np.zeros(3)

    def add(self, values, ids) -> None:
        import numpy as np

        values, y = values[~self.special[ids]].astype(float), self.lengths[ids[~self.special[ids]]] - 6
        self.pilot = values.mean(axis=0) if self.pilot is None else self.pilot
        values -= self.pilot
        # Not `y @ values`: BLAS leaves threads that wait actively, beside those of the next pass.
        squares, products = np.einsum("tn,tn->n", values, values), np.einsum("t,tn->n", y, values)
        self.of_neurons += np.stack([values.sum(axis=0), squares, products])
        self.of_tokens += len(y), y.sum(), y @ y

    def r(self):
        (x, xx, xy), (n, y, yy) = self.of_neurons, self.of_tokens
        return (xy - x * y / n) / ((xx - x**2 / n) * (yy - y**2 / n)) ** 0.5


def job(folder: Path, tokens: int) -> dict[str, float]:
    import numpy as np
    import torch

    from layerscope.io.files import read_json
    from layerscope.io.tables import read_table
    from layerscope.model.run import ModelRun
    from layerscope.summarize.reducer import SummaryReducer
    from layerscope.summarize.summarize_shard import summarize_run

    seconds = {"bare": 0.0, "within": 0.0, "exact": 0.0}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        before = time.perf_counter()
        yield
        seconds[what] += time.perf_counter() - before

    exact = ExactR(folder)

    def receive_timed(reducer, site, layer, tensor, rows, receive=SummaryReducer.receive):
        with timed("within"):
            receive(reducer, site, layer, tensor, rows)
        if layer == LAYER:
            with timed("exact"):
                exact.add(tensor.flatten(0, 1).numpy(), reducer.tokens.input_ids.reshape(-1, LENGTH)[rows].ravel())

    passes = 0

    def pass_after_bare(run, rows, reducers, one_pass=ModelRun._pass):
        nonlocal passes
        if passes % BARE == 0:
            ids = torch.from_numpy(run.rows[rows]).long()
            with timed("bare"), torch.inference_mode():
                run.model.base(input_ids=ids, use_cache=False)
        passes += 1
        one_pass(run, rows, reducers)

    SummaryReducer.receive, ModelRun._pass = receive_timed, pass_after_bare
    summary = folder / f"summary_{tokens}.h5"
    started = time.perf_counter()
    summarize_run(
        str(folder / f"tokens_{tokens}.h5"),
        read_table(folder / "types.parquet"),
        read_json(folder / "model.json"),
        {"dtype": "float32", "batch_size": "auto"},
        {"site": "mlp_pre", "token_types": TOKEN_TYPES},
        "cpu",
        len(os.sched_getaffinity(0)),
        summary,
    )
    seconds["job"] = time.perf_counter() - started - seconds["bare"] - seconds["exact"]
    seconds["bare"] *= passes / len(range(0, passes, BARE))
    np.save(folder / f"r_{tokens}.npy", exact.r())
    share = summary.stat().st_size / (tokens * SHAPE["num_layers"] * WIDTH * 4)
    return {**seconds, "bytes_per_activation_byte": share}


def store(folder: Path, tokens: int) -> dict[str, float]:
    """Store the activations of a layer for as many tokens as are stored, as if they were of the model."""
    from layerscope.extract.store_activations import extract_shard
    from layerscope.io.files import read_json

    spec = {"sites": ["mlp_pre"], "dtype": "float32", "batch_size": "auto"}
    spec |= {"storage_dtype": "float32", "compression": "none"}
    shard = str(folder / f"tokens_{STORED}.h5")
    record = read_json(folder / "model.json")
    extract_shard(shard, record, spec, "cpu", len(os.sched_getaffinity(0)), folder / "stored.h5")
    return {}


def correlate(folder: Path, tokens: int) -> dict[str, float]:
    import numpy as np

    from layerscope.io.tables import read_table
    from layerscope.studies.token_length.correlate_layer import correlate_layer

    vocabulary = read_table(folder / f"vocabulary_{tokens}.parquet")
    summary, stored = [str(folder / f"summary_{tokens}.h5")], [str(folder / "stored.h5")]
    neurons, _ = correlate_layer(summary, stored, [str(folder / "stored.json")], vocabulary, LAYER, 2048)
    return {"difference": float(abs(neurons["r_pearson"] - np.load(folder / f"r_{tokens}.npy")).max())}


def resample(folder: Path, tokens: int) -> dict[str, float]:
    from layerscope.io.tables import read_table
    from layerscope.studies.token_length.resample_layer import resample_layer

    vocabulary = read_table(folder / f"vocabulary_{tokens}.parquet")
    summary, stored = [str(folder / f"summary_{tokens}.h5")], [str(folder / "stored.h5")]
    resample_layer(summary, stored, vocabulary, LAYER, 200, 0, "spline")
    return {}


def dips(folder: Path, tokens: int) -> dict[str, float]:
    from layerscope.io.tables import read_table
    from layerscope.studies.token_length.unimodality_test import unimodality_tests

    vocabulary = read_table(folder / f"vocabulary_{tokens}.parquet")
    unimodality_tests([str(folder / "stored.h5")], vocabulary, LAYER, 200, 0)
    return {}


PARTS = {part.__name__: part for part in (job, store, correlate, resample, dips)}


def run(what: str, folder: Path, tokens: int) -> dict[str, float]:
    """Run one part in a process of its own: CPU seconds, peak memory in MiB, and what it measured itself."""
    command = [sys.executable, __file__, "--part", what, "--folder", str(folder), "--tokens", str(tokens)]
    threads = {} if what in ("job", "store") else {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **threads})
    return json.loads(done.stdout.splitlines()[-1])


def draw(peaks: list[dict[str, float]], output: str) -> None:
    from layerscope.plotting import MODEL_COLOURS, MODEL_MARKERS, figure

    names = {"summarize": "summarize, all 12 layers", "correlate": "correlate, one layer"}
    names |= {"resample": "resample, one layer", "dips": "dip tests, one layer"}
    tokens = [row["tokens"] for row in peaks]
    with figure([output], 5, 3.2) as drawn:
        axes = drawn.subplots()
        for (part, name), color, marker in zip(names.items(), MODEL_COLOURS, MODEL_MARKERS, strict=False):
            axes.plot(tokens, [row[part] / 1024 for row in peaks], color=color, marker=marker, label=name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(tokens, [f"{count:,}" for count in tokens])
        axes.minorticks_off()
        axes.set(xlabel="tokens of the shard", ylabel="peak memory (GiB)", ylim=(0, None))
        drawn.legend(loc="outside upper left", ncols=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[65_536, 262_144, 1_048_576])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--figure", help="draw peak memory to this file")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        measured = PARTS[args.part](args.folder, args.tokens[0])
        print(json.dumps({**measured, "cpu": time.process_time(), "peak_mib": peak_mib()}))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = args.folder or Path(name)
        folder.mkdir(exist_ok=True)
        prepare(folder, STORED)
        if not (folder / "stored.h5").exists():
            run("store", folder, STORED)
        peaks = []
        for tokens in args.tokens:
            prepare(folder, tokens)
            of = run("job", folder, tokens)
            print(
                f"{tokens:,} tokens: forward {of['bare']:.1f} s; job {of['job']:.1f} s ({of['within']:.1f} s in the "
                f"reducer), {of['peak_mib']:.0f} MiB; ratio {of['job'] / of['bare']:.3f}; bytes 1/"
                f"{1 / of['bytes_per_activation_byte']:.1f} of the activations",
                flush=True,
            )
            peaks.append({"tokens": tokens, "summarize": of["peak_mib"]})
            for part in ("correlate", "resample", "dips"):
                of_layer = run(part, folder, tokens)
                of_r = f"; r within {of_layer['difference']:.1e} of float64" if part == "correlate" else ""
                print(f"  {part}: {of_layer['cpu']:.1f} CPU s, {of_layer['peak_mib']:.0f} MiB{of_r}", flush=True)
                peaks[-1][part] = of_layer["peak_mib"]
        if args.figure:
            draw(peaks, args.figure)


if __name__ == "__main__":
    main()
