"""The cost of the jobs of one layer of token_length: 8,192 tokens, 8,192 neurons, 200 resamples, on one core.

    python benchmarks/measuring.py

Prints the seconds of the four jobs of a layer, and of summing up its shard before them, and the peak memory of each in
a process of its own, on noise stored in a shard of that size.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
from extraction import peak_mib

from layerscope.extract.activation_shards import ActivationShard
from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.files import write_json
from layerscope.studies.token_length.correlate_layer import correlate_layer
from layerscope.studies.token_length.describe_layer import describe_layer
from layerscope.studies.token_length.resample_layer import resample_layer
from layerscope.studies.token_length.unimodality_test import unimodality_tests
from layerscope.tokenize.token_shards import Tokens, write_token_shard

TOKENS, NEURONS, TYPES, SEQUENCES, RESAMPLES = 8192, 8192, 2500, 16, 200
RUN = {"sequences": SEQUENCES, "batch_size": 2, "model": "noise"}
SPEC = {"site": "mlp_pre", "token_types": 8192}


def write_shard(path: Path, ids: np.ndarray, rng: np.random.Generator) -> None:
    position = np.tile(np.arange(TOKENS // SEQUENCES, dtype=np.int32), SEQUENCES)
    sequence = np.repeat(np.arange(SEQUENCES, dtype=np.int32), TOKENS // SEQUENCES)
    with ActivationShardWriter(path, Tokens(ids, sequence, position, sequence), RUN, "float32", "none") as writer:
        for _ in range(8):
            writer.append("mlp_pre", 0, rng.standard_normal((TOKENS // 8, NEURONS), dtype=np.float32))
        write_json(path.with_suffix(".json"), writer.finish())


def main() -> None:
    rng = np.random.default_rng(0)
    vocabulary = pd.DataFrame({"characters": rng.integers(1, 13, TYPES), "leading_space": rng.random(TYPES) < 0.5})
    counts = 1_000_000 // np.arange(1, TYPES + 1)
    vocabulary = vocabulary.assign(special=False, partial=False, corpus_count=counts)
    ids = rng.choice(TYPES, TOKENS, p=counts / counts.sum()).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "shard.h5"
        write_shard(shard, ids, rng)
        manifest = str(shard.with_suffix(".json"))
        summary, tokens = [str(Path(folder) / "summary.h5")], str(Path(folder) / "tokens.h5")
        with ActivationShard(shard) as stored:
            attributes = {"sequence_length": TOKENS // SEQUENCES, "sequences": SEQUENCES, "shard": 0}
            write_token_shard(tokens, stored.tokens(), attributes)

        def summarize() -> None:
            # With torch, which no job of a layer loads.
            from layerscope.summarize.summarize_shard import summarize_stored

            summarize_stored([str(shard)], tokens, vocabulary, 1, SPEC, 1, summary[0])

        jobs = {
            "summarize": summarize,
            "correlate": lambda: correlate_layer(summary, [str(shard)], [manifest], vocabulary, 0, 2048),
            "describe": lambda: describe_layer(summary, [str(shard)], vocabulary, 0),
            "resample": lambda: resample_layer(summary, [str(shard)], vocabulary, 0, RESAMPLES, 0, "spline"),
            "test unimodality": lambda: unimodality_tests([str(shard)], vocabulary, 0, RESAMPLES, 0),
        }
        measured = {name: alone(job) for name, job in jobs.items()}
    print(f"{TOKENS:,} tokens x {NEURONS:,} neurons, {RESAMPLES} resamples:")
    for name, (seconds, peak) in measured.items():
        print(f"{name:16} {seconds:5.1f} s, {peak:4.0f} MiB")
    of_layer = [measured[name] for name in jobs if name != "summarize"]
    together, most = sum(seconds for seconds, _ in of_layer), max(peak for _, peak in of_layer)
    print(f"jobs of a layer  {together:5.1f} s, {most:4.0f} MiB at most")


def alone(job: Callable[[], object]) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of a job, in a fork of this process."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=measure, args=(job, there))
    process.start()
    found: tuple[float, float] = here.recv()
    process.join()
    return found


def measure(job: Callable[[], object], to: Connection) -> None:
    started = time.perf_counter()
    job()
    to.send((time.perf_counter() - started, peak_mib()))


if __name__ == "__main__":
    main()
