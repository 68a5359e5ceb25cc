"""Corpora: which files or which commit, and the documents of a hub data set brought to this machine."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from layerscope.fetch.places import is_local
from layerscope.fetch.settings import import_hub
from layerscope.io.errors import UserError
from layerscope.io.files import sealed_file
from layerscope.io.records import CorpusRecord, TokenizerRecord
from layerscope.tokenize.documents import corpus_files, texts_of
from layerscope.tokenize.packing import token_runs
from layerscope.tokenize.readers import parquet_rows
from layerscope.tokenize.tokenizer import load_tokenizer


def resolve_corpus(name: str, spec: dict[str, Any]) -> CorpusRecord:
    """The record of a corpus.

    Args:
        spec: ``source``, ``revision``, ``subset``, ``split``, ``text_field`` of the config; ``digest`` of local files.

    Raises:
        UserError: no readable files, or trouble with the hub.
    """
    source = spec["source"]
    local = is_local(source)
    return {
        "name": name,
        "source": source,
        "commit": None if local else import_hub().resolve_commit(source, spec["revision"], "dataset")[0],
        "content": spec["digest"],
        "subset": spec["subset"],
        "split": spec["split"],
        "text_field": spec["text_field"],
        "files": [str(file) for file in corpus_files(source)] if local else None,
    }


def fetch_documents(
    name: str, spec: dict[str, Any], corpus: CorpusRecord, tokenizer: TokenizerRecord, output: str | Path
) -> int:
    """Write the first documents of a hub data set: enough for ``spec["wanted"]`` tokens, or all that it has.

    Those of a larger sample begin with those of a smaller one.

    Args:
        spec: of the corpus, with ``needed`` and ``wanted``, how many tokens there must be and how many are better.
        output: JSON Lines file with a field ``text``.

    Returns:
        How many documents were written.

    Raises:
        UserError: the data set cannot be read or is too small.
    """
    loaded = load_tokenizer(tokenizer)
    written = found = 0
    with sealed_file(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        for text in texts_of(name, spec["source"], spec["text_field"], _hub_rows(name, spec, corpus["commit"])):
            file.write(json.dumps({"text": text}) + "\n")
            written += 1
            found += sum(len(ids) for ids in token_runs(loaded, [text]))
            if found >= spec["wanted"]:
                break
        if found < spec["needed"]:
            raise UserError(
                f"corpus {name}: {spec['source']} has {written} documents with {found} tokens, "
                f"but {spec['needed']} are needed (sampling.sequences x sampling.sequence_length); lower one of them"
            )
    return written


def _hub_rows(name: str, spec: dict[str, Any], commit: str | None) -> Iterator[dict[str, Any]]:
    hub = import_hub()
    import datasets  # takes two seconds, and a local corpus does without
    from huggingface_hub import HfFileSystem

    datasets.disable_progress_bars()
    source, subset, split = spec["source"], spec["subset"], spec["split"]
    # What is wrong with the documents themselves is a matter of who reads them.
    with hub.one_line_errors(source, commit, unforeseen=False):
        try:
            builder = datasets.load_dataset_builder(source, subset, revision=commit)
        except ValueError:
            subsets = datasets.get_dataset_config_names(source, revision=commit)
            if subset in subsets:
                raise
            raise UserError(
                f"corpora.{name}.subset: {subset or 'null'} is not a subset of {source}; it has {_shown(subsets)}"
            ) from None
        files = {str(key): list(paths) for key, paths in builder.config.data_files.items()}
        if split not in files:
            raise UserError(f"corpora.{name}.split: {split} is not a split of {source}; it has {_shown(files)}")
        if all(path.startswith("hf://") and path.endswith(".parquet") for path in files[split]):
            system = HfFileSystem()
            yield from parquet_rows((system.open(path, "rb") for path in files[split]), spec["text_field"])
        else:
            yield from builder.as_streaming_dataset(split)


def _shown(names: Iterable[str]) -> str:
    """The first of many names: a data set can have a hundred subsets."""
    first, rest = (names := list(names))[:10], names[10:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "")
