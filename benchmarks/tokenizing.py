"""What tokenizing a large corpus costs, one job per token shard, beside one pass over its documents.

    python benchmarks/tokenizing.py [--megabytes 40] [--shards 100] [--seed 0]

Writes a corpus of documents of very different lengths, made of words of the embedded corpus, and makes all its token
shards as the jobs do: every part of the encoded documents, then every shard from the parts that it is in. Prints the
documents and characters that the tokenizer was given, as a ratio to those of the corpus, and the seconds of each stage;
then what the last shard costs where its job encodes all documents before its own. Also plans the default study with
1,000 shards. Exits with 1 if more than 1.2 times the corpus was encoded, or a shard is not its slice of the stream.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from layerscope.tokenize.documents import local_documents, read_documents
from layerscope.tokenize.encoded_documents import parts_with, read_part
from layerscope.tokenize.encoding import BATCH, encode_part
from layerscope.tokenize.token_shards import write_token_shard
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer

PROJECT = Path(__file__).parents[1]
LENGTH = 512
MOST = 1.2  # times one pass
WORDS, SPREAD = 600, 1.3  # median words of a document, and the standard deviation of their logarithm


def write_corpus(path: Path, megabytes: float, seed: int) -> None:
    lines = (PROJECT / "resources/corpus/documents.jsonl").read_text(encoding="utf-8").splitlines()
    words = np.array(" ".join(json.loads(line)["text"] for line in lines).split(" "))
    draw, size = np.random.default_rng(seed), 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * 1e6:
            count = int(draw.lognormal(np.log(WORDS), SPREAD))
            size += file.write(json.dumps({"text": " ".join(draw.choice(words, count))}, ensure_ascii=False) + "\n")


class Work:
    """Counts what the tokenizer is given."""

    def __init__(self) -> None:
        self.documents = self.characters = 0
        encode = LoadedTokenizer.encode

        def counted(tokenizer: LoadedTokenizer, texts: list[str]) -> list[list[int]]:
            self.documents += len(texts)
            self.characters += sum(map(len, texts))
            return encode(tokenizer, texts)

        LoadedTokenizer.encode = counted  # type: ignore[method-assign]


def encode_parts(folder: Path, corpus: Any, tokenizer: Any) -> list[str]:
    """Every part of the corpus, as files."""
    paths: list[str] = []
    while not paths or not read_part(paths[-1])[0].ended:
        path = folder / f"documents/mini/large/part_{len(paths):04d}.h5"
        encode_part(corpus, tokenizer, len(paths), paths[-1] if paths else None, local_documents, path)
        paths.append(str(path))
    return paths


def plan(*targets: str) -> float:
    """Seconds in which Snakemake plans the default study with 1,000 shards, or some files of it."""
    with tempfile.TemporaryDirectory() as name:
        overlay = Path(name) / "large.json"
        sampling = {"sequences": 16_000, "sequences_per_shard": 16}
        overlay.write_text(json.dumps({"results": "results-of-no-run", "sampling": sampling}))
        options = ["--cores", "1", "--dry-run", "--quiet", "all", "--configfile", "config/config.yaml", str(overlay)]
        command = [sys.executable, "-m", "snakemake", *options, "--", *targets]
        started = time.perf_counter()
        subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=40)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    place = str(PROJECT / "resources/tokenizers/mini")
    tokenizer: Any = {"name": "mini", "source": place, "path": place, "commit": None, "content": None}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder / "corpus.jsonl", args.megabytes, args.seed)
        corpus: Any = {"name": "large", "source": str(folder / "corpus.jsonl"), "text_field": "text"}
        corpus |= dict.fromkeys(("subset", "split", "commit", "content"))

        started = time.perf_counter()
        loaded, stream = load_tokenizer(tokenizer), []
        texts = [text for _, text in read_documents("large", corpus["source"], "text")]
        for first in range(0, len(texts), BATCH):
            for ids in loaded.encode(texts[first : first + BATCH]):
                stream += [*ids, loaded.end_of_text]
        one_pass = time.perf_counter() - started
        expected = np.array(stream, dtype=np.int32)
        characters = sum(map(len, texts))
        print(
            f"one pass: {len(texts):,} documents, {characters:,} characters, {len(stream):,} tokens: {one_pass:.1f} s"
        )

        work, started = Work(), time.perf_counter()
        paths = encode_parts(folder, corpus, tokenizer)
        encoding = time.perf_counter() - started
        sequences = len(stream) // (args.shards * LENGTH)
        spec, size = {"sequences_per_shard": sequences, "sequence_length": LENGTH}, sequences * LENGTH
        wrong, slowest = 0, 0.0
        started = time.perf_counter()
        for shard in range(args.shards):
            begun = time.perf_counter()
            parts = [paths[part] for part in parts_with(shard * size, (shard + 1) * size)]
            tokens, attributes = tokenize_shard(parts, spec, shard)
            write_token_shard(folder / f"tokens/mini/large/shard_{shard:04d}.h5", tokens, attributes)
            slowest = max(slowest, time.perf_counter() - begun)
            wrong += not np.array_equal(tokens.input_ids, expected[shard * size : (shard + 1) * size])
        cutting = time.perf_counter() - started
        stored = sum(Path(path).stat().st_size for path in paths)
    ratio = work.characters / characters
    print(f"{len(paths)} parts: {encoding:.1f} s, {stored / len(stream):.2f} bytes per token")
    print(f"{args.shards} shards of {size:,} tokens: {cutting:.1f} s, {slowest:.2f} s at most; {wrong} are wrong")
    print(f"encoded: {work.documents / len(texts):.3f} times the documents, {ratio:.3f} times the characters")
    print(
        f"where each job encodes all documents before its own: {(args.shards + 1) / 2:.1f} times, "
        f"{(args.shards + 1) / 2 * one_pass:,.0f} s, {one_pass:.1f} s for the last shard"
    )
    tables = [f"results-of-no-run/tokens/mini/embedded/{table}.parquet" for table in ("vocabulary", "frequency")]
    print(f"1,000 shards planned: {plan(*tables):.1f} s up to the tables of tokens, {plan():.1f} s the default study")
    sys.exit(bool(wrong) or ratio > MOST)


if __name__ == "__main__":
    main()
