"""Documents of a corpus, one after the other, from a local file or a hub data set."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from layerscope.errors import UserError
from layerscope.sources import is_local

BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".txt": "text"}


def corpus_files(source: str) -> list[Path]:
    """The files of a local corpus: the file itself, or every file of a folder with a known ending, by name.

    Raises:
        UserError: none, or endings that do not agree.
    """
    path = Path(source)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in BUILDERS)
    endings = {file.suffix for file in files}
    if not files or not endings <= set(BUILDERS):
        raise UserError(f"corpus {source}: no documents there; readable are files ending in {', '.join(BUILDERS)}")
    if len({BUILDERS[ending] for ending in endings}) > 1:
        raise UserError(f"corpus {source}: files of several kinds ({', '.join(sorted(endings))}); keep one kind")
    return files


def read_documents(corpus: str, spec: dict[str, Any], commit: str | None = None) -> Iterator[str]:
    """Texts of the documents of ``corpus`` in their order; documents without text are passed over.

    Args:
        corpus: its name, for error lines.
        spec: ``source``, ``subset``, ``split``, ``text_field`` of the config.
        commit: of a hub data set: the commit to read.

    Raises:
        UserError: the source cannot be read, has no such field, or a text is not a string.
    """
    rows = _rows(corpus, spec, commit)
    field = spec["text_field"] if not _is_plain_text(spec["source"]) else "text"
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except UserError:
            raise
        except Exception as error:  # the readers of datasets raise a dozen kinds
            raise UserError(
                f"corpus {corpus}: {spec['source']} cannot be read after document {number}: {_root(error)}"
            ) from error
        if field not in row:
            raise UserError(
                f"corpus {corpus}: document {number} has no field '{field}'; it has {', '.join(map(str, row))} "
                f"(set corpora.{corpus}.text_field)"
            )
        text = row[field]
        if not isinstance(text, str):
            raise UserError(
                f"corpus {corpus}: field '{field}' of document {number} holds {type(text).__name__}, not text"
            )
        number += 1
        if text:
            yield text


def _is_plain_text(source: str) -> bool:
    return is_local(source) and corpus_files(source)[0].suffix == ".txt"


def _rows(corpus: str, spec: dict[str, Any], commit: str | None) -> Iterator[dict[str, Any]]:
    # The import takes two seconds and reads this setting: local files must not touch the network.
    local = is_local(spec["source"])
    if local:
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    import datasets

    datasets.disable_progress_bars()
    if local:
        files = corpus_files(spec["source"])
        options = {"sample_by": "document"} if files[0].suffix == ".txt" else {}
        loaded = datasets.load_dataset(
            BUILDERS[files[0].suffix],
            data_files={"train": [str(file) for file in files]},
            split="train",
            streaming=True,
            **options,
        )
    else:
        from layerscope.fetch.hub import one_line_errors

        with one_line_errors(spec["source"], commit):
            try:
                loaded = datasets.load_dataset(
                    spec["source"], spec["subset"], split=spec["split"], revision=commit, streaming=True
                )
            except ValueError as error:
                raise UserError(f"corpus {corpus}: {spec['source']}: {_root(error)}") from error
    return iter(loaded)


def _root(error: BaseException) -> str:
    """The innermost cause of an error, as one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
