"""Corpora: which files or which commit, and the documents of a hub data set brought to this machine."""

import json
from pathlib import Path
from typing import Any

from layerscope.fetch import hub
from layerscope.files import whole_file
from layerscope.sources import is_local
from layerscope.tokenize.documents import corpus_files, read_documents
from layerscope.tokenize.packing import token_runs
from layerscope.tokenize.tokenizer import load_tokenizer


def resolve_corpus(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The record of a corpus: ``{name, source, subset, split, commit, files}``.

    Raises:
        UserError: no readable files, or trouble with the hub.
    """
    source = spec["source"]
    record = {"name": name, "source": source, "subset": spec["subset"], "split": spec["split"]}
    if is_local(source):
        return {**record, "commit": None, "files": [str(file) for file in corpus_files(source)]}
    commit, _ = hub.resolve_commit(source, spec["revision"], "dataset")
    return {**record, "commit": commit, "files": None}


def fetch_documents(
    name: str,
    spec: dict[str, Any],
    corpus: dict[str, Any],
    tokenizers: list[dict[str, Any]],
    output: str | Path,
) -> int:
    """Write the first documents of a hub data set, enough for ``spec["tokens"]`` tokens of each tokenizer.

    The documents of a larger sample begin with those of a smaller one, so growing a sample leaves the shards
    made from them as they are.

    Args:
        spec: of the corpus, with ``tokens``, how many are needed.
        corpus: record from :func:`resolve_corpus`.
        tokenizers: records of the tokenizers.
        output: JSON Lines file with a field ``text``.

    Returns:
        How many documents were written.

    Raises:
        UserError: the data set cannot be read or is too small.
    """
    loaded = [load_tokenizer(record) for record in tokenizers]
    missing = [spec["tokens"]] * len(loaded)
    written = 0
    with whole_file(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        for text in read_documents(name, spec, corpus["commit"]):
            file.write(json.dumps({"text": text}) + "\n")
            written += 1
            for i, tokenizer in enumerate(loaded):
                missing[i] -= sum(len(ids) for ids in token_runs(tokenizer, [text]))
            if max(missing) <= 0:
                break
        file.flush()
    return written
