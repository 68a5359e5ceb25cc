"""Memory and time that jobs ask a cluster for, by what they read and make.

Each estimate is of the peak of resident memory and of the wall time, from the sizes of models, tokens and summaries.
The constants were measured on two shared cores (docs/cluster.md); those of a GPU are assumed.
"""

import math
import os
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from layerscope.io.errors import UserError
from layerscope.model.batch_size import batch_size_of
from layerscope.preflight.config import Config
from layerscope.stats.document_clusters import CLUSTERS
from layerscope.tokenize.encoded_documents import bounds, parts_with
from layerscope.workflow.model_size import ModelSize, local_model_size

MARGIN = "LAYERSCOPE_MARGIN"  # variable of the environment: how many times what is expected is asked for
LEAST_MB = 1500  # two Snakemakes and Python take half of it

# Bytes of a process that has imported what jobs need: to read tables; also those of token types; a model; one on a GPU.
TABLES, NUMPY, TORCH, CUDA = 190e6, 250e6, 500e6, 3e9
START = 2.0  # minutes until the libraries are imported, on a slow file system
READING = 1e8  # bytes per second
CPU, GPU = 40e9, 4e12  # operations per second in float32, of a core and of a GPU
THREADS = 8  # of a job that runs a model, where there are as many cores
QUICK = 10.0  # seconds of one core, in which the model of a job needs no more of them
HELD_LAYER = 134e6  # bytes of stored activations that the job of a layer holds at most
HELD_NEURONS, RUN_PRODUCTS = 268e6, 134e6  # bytes that matching takes at most for each
DOCUMENT = 450  # tokens of a document of the web, on average
# Share of tokens that the r-th most frequent type has: SHARE / (r + OFFSET)^POWER (Mandelbrot 1953), fitted to the
# types among 1,024 to 65,536 tokens of FineWeb and C4 with GPT-2's tokenizer, and of the embedded corpus with its own.
SHARE, OFFSET, POWER = 0.195, 4.2, 1.1
RARE = 19  # classes of the others, by length and leading space
COVARIATES = 16  # sums of a neuron per cluster, with those of its powers
CONTEXTS = 6000  # bytes per neuron of its contexts in a summary, as they are found or merged, and as they are written
DESCRIBED = 30_000  # bytes per neuron of the tables that describe it, and of what they are made from


class Expected(NamedTuple):
    """What a job is expected to need."""

    memory: float  # bytes
    minutes: float  # after its start


class Estimate(Protocol):
    """What a job is expected to need, by its wildcards, inputs and threads."""

    def __call__(self, wildcards: object, input: object, threads: int) -> Expected: ...


class Needs:
    """What the jobs of a configuration are expected to need, and ask for.

    Args:
        gpu: whether models run on a GPU; default: unless the configuration says cpu, as it may on a cluster.

    Raises:
        UserError: the margin that the environment sets is no number above 0.
    """

    def __init__(self, config: Config, gpu: bool | None = None) -> None:
        self.margin = margin()
        sampling, self.extraction = config.sampling, config.extraction
        self.gpu = config.extraction.device != "cpu" if gpu is None else gpu
        self.length = sampling.sequence_length
        self.tokens = sampling.sequences * self.length
        self.stored = sampling.stored * self.length
        self.shards, self.shard = sampling.shards, sampling.sequences_per_shard * self.length
        self.stored_shard = sampling.stored_per_shard * self.length
        self.token_types = config.summaries.token_types
        self.covariates = COVARIATES + len(config.summaries.properties)

    def threads(self, source: str) -> int:
        """Cores for a job that runs a model.

        Of a small one on this machine, most of the job is the start of Python, on one core.
        """
        size = local_model_size(source)
        return self.threads_of(size) if size else THREADS

    def threads_of(self, size: ModelSize) -> int:
        """Cores for a job that runs a model of this size on this machine."""
        tokens = max(self.shard, self.stored_shard)
        return 1 if size.operations(tokens) < QUICK * CPU else THREADS

    def clusters(self, tokens: int) -> int:
        """Clusters of documents in so many tokens; their number is not known yet, nor is that of classes."""
        return min(CLUSTERS, 1 + tokens // DOCUMENT)

    def classes(self, tokens: int) -> int:
        """Classes of token types in so many tokens."""
        return _types(tokens, self.token_types) + RARE

    def ask(self, expected: Estimate, times: int = 1) -> dict[str, Callable[..., int]]:
        """The resources ``mem_mb`` and ``runtime`` (minutes) of a rule; each attempt at a job asks for more.

        Args:
            times: how many times in turn a job does what is expected.
        """

        def mem_mb(wildcards: object, input: object, threads: int, attempt: int) -> int:
            memory = self.margin * expected(wildcards, input, threads).memory / 1e6
            return attempt * max(LEAST_MB, math.ceil(memory / 100) * 100)

        def runtime(wildcards: object, input: object, threads: int, attempt: int) -> int:
            return attempt * math.ceil(self.margin * (START + times * expected(wildcards, input, threads).minutes))

        return {"mem_mb": mem_mb, "runtime": runtime}

    def _run(self, model: ModelSize, tokens: float, threads: int, made: float, held: float) -> Expected:
        """Needs of a job that runs a model.

        Args:
            made: bytes that it writes.
            held: bytes that it holds for these in main memory.
        """
        # Weights are mapped from their files and converted, where these are of another precision, or of one that is not
        # known: 2 and 4 bytes. On the CPU, oneDNN has those of layers once more.
        own = 4 if self.extraction.dtype == "float32" else 2
        weights = (own if model.file_bytes == own else 6) * model.weights
        weights += 0 if self.gpu else 4 * model.layers * model.weights_per_layer
        seconds = (model.weights * 4 + made) / READING + model.operations(tokens) / (GPU if self.gpu else threads * CPU)
        # Some minutes more, should a GPU be slow to start.
        return Expected(TORCH + self.gpu * CUDA + weights + held, seconds / 60 + 3)

    def _batch(self, tokens: int) -> int:
        """Tokens of a batch."""
        sequences = tokens // self.length
        device = "cuda" if self.gpu else "cpu"
        return self.length * batch_size_of(self.extraction.batch_size, self.length, sequences, device)

    def stored_bytes(self, model: ModelSize, sites: list[str]) -> float:
        """Bytes of an activation shard."""
        bytes_per_number = 4 if self.extraction.storage_dtype == "float32" else 2
        return self.stored_shard * model.layers * sum(map(model.width, sites)) * bytes_per_number

    def extract(self, model: ModelSize, sites: list[str], threads: int) -> Expected:
        """Of an activation shard, which is written while the model runs: a few tensors wait for that."""
        widths = [model.width(site) for site in sites]
        made = self.stored_bytes(model, sites)
        held = 6 * 4 * self._batch(self.stored_shard) * max(widths, default=0)
        return self._run(model, self.stored_shard, threads, made, held)

    def extract_paths(self, model: ModelSize, threads: int) -> Expected:
        """Six float32 numbers of each token and layer; on the CPU also the streams of a batch, in float64."""
        made = 24 * model.layers * self.shard
        held = 2 * made + (0 if self.gpu else 60 * self._batch(self.shard) * model.hidden)
        return self._run(model, self.shard, threads, made, held)

    def reduce_paths(self, model: ModelSize) -> Expected:
        """Of an activation shard, a layer at a time: its three streams, and that before it."""
        held = self.stored_shard * (24 * model.layers + 20 * model.hidden)
        return Expected(TORCH + held, self.stored_shard * model.layers * model.hidden * 16 / READING / 60)

    def extract_vectors(self, model: ModelSize, sentences: int, threads: int) -> Expected:
        """Of sentences of some hundred tokens: q, k and v of two tokens of each."""
        made = 24 * sentences * model.layers * model.hidden
        return self._run(model, 256 * sentences, threads, made, 2 * made)

    def sums_on_device(self, model: ModelSize) -> float:
        """Bytes of the sums of a shard while the model runs; contexts are in main memory."""
        return model.layers * model.mlp * (self._sums() - CONTEXTS)

    def _sums(self) -> float:
        """Bytes per neuron of the sums of a shard: those of clusters in float64, those of types in float32."""
        return 8 * self.clusters(self.shard) * self.covariates + 4 * self.classes(self.shard) + CONTEXTS

    def summarize(self, model: ModelSize, site: str, threads: int) -> Expected:
        """Of a token shard, while the model runs: in the end all sums are in main memory, also a GPU's."""
        width = model.width(site)
        neurons = model.layers * width
        held = neurons * self._sums() + (0 if self.gpu else 8 * self._batch(self.shard) * width)
        return self._run(model, self.shard, threads, neurons * self._sums(), held)

    def describe_weights(self, model: ModelSize, threads: int) -> Expected:
        """Of all neurons: their logits take most of the time. Those of some hundred are held at once, and the
        unembedding; random weights are those of the whole model."""
        held = 4 * model.weights + 4 * model.embeddings + 3e3 * model.embeddings / max(1, model.hidden)
        seconds = model.layers * model.mlp * (2 * model.embeddings / (threads * CPU) + 0.5e-3)
        return Expected(TORCH + held, (model.weights * 4 / READING + seconds) / 60)

    def summarize_stored(self, layers: int, width: int) -> Expected:
        """Of a token shard whose activations are stored, on one core."""
        neurons = layers * width
        batch = self._batch(self.shard) if self.gpu else self.length
        held = neurons * self._sums() + 8 * batch * width
        return Expected(TORCH + held, neurons * self.shard * 0.2e-6 / 60)

    def _layer(self, width: int, per_value: float) -> Expected:
        """Of a layer: the summaries of the shards are added in float64, one at a time; then activations are read.

        Args:
            per_value: seconds for each stored activation.
        """
        summary = 4 * width * (self.clusters(self.tokens) * self.covariates + self.classes(self.tokens))
        seconds = width * self.stored * per_value + 2 * self.shards * summary / READING
        memory = NUMPY + 2 * summary + max(summary, self._held(width)) + CONTEXTS * width
        return Expected(memory, seconds / 60)

    def _held(self, width: int) -> float:
        """Bytes of stored activations that the job of a layer holds."""
        return min(HELD_LAYER, 4 * width * self.stored)

    def correlate(self, width: int) -> Expected:
        return self._layer(width, 0.5e-6)

    def describe(self, width: int) -> Expected:
        """Also the tables, which have many rows per neuron."""
        of_layer = self._layer(width, 0.1e-6)
        return of_layer._replace(memory=of_layer.memory + DESCRIBED * width)

    def resample(self, width: int, resamples: int) -> Expected:
        """Also several measures of all resamples and clusters, of every neuron."""
        of_layer = self._layer(width, 0.5e-6)
        return of_layer._replace(memory=of_layer.memory + 100 * width * (resamples + CLUSTERS))

    def resample_properties(self, width: int, resamples: int, properties: int) -> Expected:
        """Of each property as much as of length: the summaries and the stored activations are read once."""
        one = self.resample(width, resamples)
        held = (properties - 1) * 100 * width * (resamples + CLUSTERS)
        return Expected(one.memory + held, properties * one.minutes)

    def test_unimodality(self, width: int, resamples: int) -> Expected:
        """As many neurons are simulated as there are resamples, all at once, before activations are read; a microsecond
        for each value."""
        values = (width + resamples) * self.stored
        return Expected(NUMPY + max(16 * resamples * self.stored, self._held(width)), values * 1e-6 / 60)

    def explorer_layer(self, contexts: int) -> Expected:
        """Of a layer, given the bytes of the file of its contexts, the largest of its tables."""
        return Expected(NUMPY + 12 * contexts, contexts / 4e6 / 60)

    def match(self, width: int, layers: int, other: int, threads: int) -> Expected:
        """Of a layer of ``other`` neurons, against each of the layers of ``width``.

        It holds the neurons or blocks of their tokens, products of all pairs, of ten runs where these are few, and of
        all layers some tokens and the table.
        """
        seconds = layers * self.stored * (2 * width * other / (threads * CPU) + 0.2e-6 * (width + other))
        pairs = 4 * width * other
        products = 10 * pairs if 10 * pairs <= RUN_PRODUCTS else pairs
        blocks = 50e3 * (width + other) + min(HELD_NEURONS, 4 * self.stored * other)
        return Expected(NUMPY + blocks + products + 3000 * layers * width, seconds / 60)

    def cosines(self, numbers: float, layers: int, sentences: int) -> Expected:
        """Of a layer of vectors, given how many ``numbers`` are in the file: blocks of width², and a jackknife."""
        width = numbers / (6 * layers * sentences)
        return Expected(TABLES + 8 * 8 * width**2, sentences * width**2 * 1e-6 / 60)

    def tokenize(self, shard: int) -> Expected:
        """Of a token shard: all parts that it is in are read."""
        parts = parts_with(shard * self.shard, (shard + 1) * self.shard)
        return self._of_tokens(parts_tokens(parts) + 2 * self.shard, 1e6)

    def encode(self, part: int) -> Expected:
        """Of a part; a batch of ten million characters takes a gigabyte, and the corpus is read up to there."""
        tokens = parts_tokens(range(part, part + 1))
        expected = self._of_tokens(tokens, 5e4)
        reading = 6 * parts_tokens(range(part)) / READING
        return Expected(expected.memory + 1e9, expected.minutes + reading / 60)

    def count(self, tokens: int) -> Expected:
        return self._of_tokens(parts_tokens(parts_with(0, tokens)), 1e6)

    def vocabulary(self) -> Expected:
        """All token shards, and all of them joined."""
        return self._of_tokens(2 * self.tokens, 1e6)

    def _of_tokens(self, tokens: int, per_second: float) -> Expected:
        return Expected(NUMPY + 16 * tokens, tokens / per_second / 60)


@cache
def _types(tokens: int, most: int) -> int:
    """How many of the ``most`` frequent types of tokens are expected among so many tokens."""
    shares = SHARE / (np.arange(1, most + 1) + OFFSET) ** POWER
    return round(-np.expm1(-tokens * shares).sum())


def margin() -> float:
    """How many times what is expected jobs ask for."""
    text = os.environ.get(MARGIN, "1.5")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UserError(f"{MARGIN}: '{text}' is not a number above 0, such as 1.5")
    return value


def parts_tokens(parts: range) -> int:
    """Tokens between the bounds of parts of the encoded documents, which follow one another."""
    between = list(islice(bounds(), parts.stop + 1))
    return between[parts.stop] - between[parts.start]
