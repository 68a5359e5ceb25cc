"""How many flipped bytes are found when files are read.

    python benchmarks/byte_flips.py [--flips 500] [--seed 0]

Makes a file of each kind that a later job reads, from an embedded model. In each, it flips one bit of one byte at a
time, half of them in the values that HDF5 stores and half elsewhere, and reads the file as the workflow does. A flip is
found if reading ends in one line for the user. One that is not found must change nothing of what is read: padding, and
what only people read. Exits with 1 if a flip in values was not found, if one elsewhere changed what was read, if
another error reached the user, or if reading crashed or did not end.
"""

import argparse
import os
import pickle
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.extract.activation_shards import LayerReader, dataset_name
from layerscope.io.errors import UserError
from layerscope.io.files import read_json, write_json
from layerscope.io.tables import read_csv, read_table
from layerscope.studies.path_length.lengths import QUANTITIES
from layerscope.studies.path_length.path_shards import read_path_shard
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summary_shards import read_layer_summary
from layerscope.tokenize.encoded_documents import read_part
from layerscope.tokenize.token_shards import read_token_shard

PROJECT = Path(__file__).parents[1]
SITES = ["mlp_pre", "attn_out"]
LAYERS = 4
SUMS = ("tokens/", "comoments/", "documents/")  # groups of datasets that are all read
PATIENCE = 20  # seconds
CHANGES_NOTHING, FOUND, MISSED, OTHER_ERROR = range(4)


def make_files(folder: Path) -> dict[str, tuple[Path, Callable[[Path], Any]]]:
    """Files as the workflow makes them: kind → path and what reads all of it that is ever read."""
    from layerscope.extract.store_activations import extract_shard
    from layerscope.io.tables import write_csv, write_table
    from layerscope.studies.path_length.extract import extract_paths
    from layerscope.studies.path_length.path_shards import write_path_shard
    from layerscope.studies.token_similarity.extract import extract_vectors
    from layerscope.summarize.summarize_shard import summarize_run
    from layerscope.tokenize.documents import local_documents
    from layerscope.tokenize.encoding import encode_part
    from layerscope.tokenize.token_shards import write_token_shard
    from layerscope.tokenize.tokenize_shard import tokenize_shard
    from layerscope.tokenize.tokenizer import load_tokenizer
    from layerscope.tokenize.vocabulary import token_types, vocabulary_table

    def record(name: str, path: str) -> dict[str, Any]:
        return {"name": name, "source": path, "commit": None, "content": None, "path": str(PROJECT / path)}

    model = record("neo-2m", "resources/models/neo-2m") | {"model_type": "gpt_neo", "weights": "trained"}
    tokenizer = record("mini", "resources/tokenizers/mini")
    corpus = {"name": "embedded", "source": str(PROJECT / "resources/corpus/documents.jsonl")}
    corpus |= {"text_field": "text", **dict.fromkeys(("subset", "split", "commit", "content"))}
    compute = {"dtype": "float32", "batch_size": "auto"}
    sampling = {"sequence_length": 64, "sequences_per_shard": 4}
    paths = {
        "token shard": folder / "tokens/mini/embedded/shard_0000.h5",
        "activation shard": folder / "activations/neo-2m/embedded/shard_0000.h5",
        "summary shard": folder / "summaries/neo-2m/embedded/shard_0000.h5",
        "path-length shard": folder / "path_length/neo-2m/shard_0000.h5",
        "vectors": folder / "token_similarity/neo-2m/vectors.h5",
        "Parquet table": folder / "vocabulary.parquet",
        "CSV table": folder / "vocabulary.csv",
        "record of a source": folder / "sources/neo-2m.json",
        "encoded documents": folder / "documents/mini/embedded/part_0000.h5",
    }
    encode_part(corpus, tokenizer, 0, None, local_documents, paths["encoded documents"])
    tokens, attributes = tokenize_shard([str(paths["encoded documents"])], sampling, 0)
    shard = str(paths["token shard"])
    write_token_shard(shard, tokens, attributes)
    spec = {**compute, "sites": SITES, "storage_dtype": "float32", "compression": "none"}
    extract_shard(shard, model, spec, "cpu", 1, paths["activation shard"])
    types = token_types(load_tokenizer(tokenizer))
    counted = types.assign(corpus_count=1)
    summary = {"site": "mlp_pre", "token_types": 50}
    summarize_run(shard, counted, model, compute, summary, "cpu", 1, paths["summary shard"])
    write_path_shard(paths["path-length shard"], *extract_paths(shard, types, model, compute, "cpu", 1))
    spec = {**compute, "sentences": str(PROJECT / "resources/sentences_her.txt"), "target": "her", "seed": 0}
    extract_vectors(model, tokenizer, spec, "cpu", 1, paths["vectors"])
    vocabulary = vocabulary_table(counted, tokens.input_ids)[:500]
    write_table(paths["Parquet table"], vocabulary)
    write_csv(paths["CSV table"], vocabulary)
    write_json(paths["record of a source"], model)
    readers: list[Callable[[Path], Any]] = [
        read_token_shard,
        read_activations,
        lambda path: [read_layer_summary([str(path)], layer) for layer in range(LAYERS)],
        read_path_shard,
        lambda path: [read_vectors(str(path), layer) for layer in range(LAYERS)],
        lambda path: read_table(path).to_dict("list"),
        lambda path: read_csv(path).to_dict("list"),
        read_json,
        read_part,
    ]
    return {kind: (paths[kind], reader) for kind, reader in zip(paths, readers, strict=True)}


def read_activations(path: Path) -> Any:
    read = []
    for site in SITES:
        for layer in range(LAYERS):
            with LayerReader([str(path)], site, layer) as reader:
                tokens = reader.tokens()
                blocks = list(reader.blocks(np.ones(len(tokens), dtype=bool)))
                read.append((tokens, blocks, reader.attributes))
    return read


def places_in(path: Path) -> tuple[list[int], list[int]]:
    """Positions of the bytes of the values that are read, and of all others; only in HDF5 the two lie apart."""
    values = bytearray(path.stat().st_size)
    read = {"input_ids", "ends", "included", *QUANTITIES}
    read |= {f"{dataset_name('mlp_pre', layer)}/{f.name}" for layer in range(LAYERS) for f in fields(NeuronSums)}
    read |= {dataset_name(site, layer) for site in ("q", "k", "v", *SITES) for layer in range(LAYERS)}

    def mark(name: str, dataset: Any) -> None:
        if isinstance(dataset, h5py.Dataset) and (name in read or name.startswith(SUMS)):
            for i in range(dataset.id.get_num_chunks()):
                chunk = dataset.id.get_chunk_info(i)
                values[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"1" * chunk.size

    if path.suffix == ".h5":
        with h5py.File(path) as file:
            file.visititems(mark)
    places: tuple[list[int], list[int]] = ([], [])
    for at, of_value in enumerate(values):
        places[not of_value].append(at)
    return places


def outcomes(path: Path, reader: Callable[[Path], Any], flips: list[tuple[int, int]]) -> list[int]:
    """Of each flip, of a byte's bit, one of the four outcomes, or less than 0 for the signal that ended Python."""
    content, expected, came = path.read_bytes(), pickle.dumps(reader(path)), []
    while len(came) < len(flips):
        receiving, sending = os.pipe()
        if not (child := os.fork()):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what HDF5 prints as it aborts
            for at, bit in flips[len(came) :]:
                damaged = bytearray(content)
                damaged[at] ^= 1 << bit
                path.unlink()  # a new file each time: HDF5 may keep one that it failed to read
                path.write_bytes(damaged)
                signal.alarm(PATIENCE)
                os.write(sending, bytes([outcome(path, reader, expected)]))
            os._exit(0)
        os.close(sending)
        with os.fdopen(receiving, "rb") as pipe:
            came += pipe.read()
        if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            came.append(status)
    path.write_bytes(content)
    return came


def outcome(path: Path, reader: Callable[[Path], Any], expected: bytes) -> int:
    try:
        return CHANGES_NOTHING if pickle.dumps(reader(path)) == expected else MISSED
    except UserError as error:
        return FOUND if str(error).startswith(f"{path}: ") and "\n" not in str(error) else OTHER_ERROR
    except Exception:
        return OTHER_ERROR


def flip(kind: str, path: Path, reader: Callable[[Path], Any], flips: int, draw: random.Random) -> bool:
    """Flip and read, print what came of it; whether all went well."""
    values, elsewhere = Counter[int](), Counter[int]()
    for came, places in zip((values, elsewhere), places_in(path), strict=True):
        drawn = [(draw.choice(places), draw.randrange(8)) for _ in range(flips // 2) if places]
        came.update(outcomes(path, reader, drawn))
    both = values + elsewhere
    crashes = sum(count for code, count in both.items() if code < 0)
    print(
        f"{kind}, {path.stat().st_size:,} bytes: {values[FOUND]} of {values.total()} found in values; "
        f"{elsewhere[FOUND]} of {elsewhere.total()} elsewhere, {elsewhere[CHANGES_NOTHING]} change nothing; "
        f"{both[MISSED]} missed, {both[OTHER_ERROR]} other errors, {crashes} crashes",
        flush=True,
    )
    return values[FOUND] == values.total() and elsewhere[FOUND] + elsewhere[CHANGES_NOTHING] == elsewhere.total()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=500, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        well = [flip(kind, *files[kind], args.flips, draw) for kind in files]
    sys.exit(not all(well))


if __name__ == "__main__":
    main()
