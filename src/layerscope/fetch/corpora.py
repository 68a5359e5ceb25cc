"""Corpora: which files or which commit, and the documents of a data set on the hub."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from layerscope.fetch.places import is_local
from layerscope.fetch.settings import import_hub
from layerscope.io.errors import UserError
from layerscope.io.records import CorpusRecord
from layerscope.tokenize.documents import corpus_files, numbered_texts
from layerscope.tokenize.readers import parquet_rows


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


def hub_documents(corpus: CorpusRecord, first: int) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the documents of a data set on the hub from number ``first`` on.

    Of Parquet files, row groups before it are not downloaded; of others, everything is.

    Args:
        corpus: record from :func:`resolve_corpus`.

    Raises:
        UserError: the data set cannot be read, or as :func:`layerscope.tokenize.documents.numbered_texts`.
    """
    return numbered_texts(corpus["name"], corpus["source"], corpus["text_field"], _hub_rows(corpus, first), first)


def _hub_rows(corpus: CorpusRecord, first: int) -> Iterator[dict[str, Any]]:
    hub = import_hub()
    import datasets  # takes two seconds, and a local corpus does without
    from huggingface_hub import HfFileSystem

    datasets.disable_progress_bars()
    name, source, commit = corpus["name"], corpus["source"], corpus["commit"]
    subset, split = corpus["subset"], corpus["split"]
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
            opened = (system.open(path, "rb") for path in files[split])
            yield from parquet_rows(opened, corpus["text_field"], first)
        else:
            yield from islice(builder.as_streaming_dataset(split), first, None)


def _shown(names: Iterable[str]) -> str:
    """The first of many names: a data set can have a hundred subsets."""
    first, rest = (names := list(names))[:10], names[10:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "")
