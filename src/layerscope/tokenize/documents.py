"""Documents of a corpus, one after the other."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from layerscope.errors import UserError
from layerscope.files import check_seal

KINDS = {".jsonl": "JSON", ".json": "JSON", ".parquet": "Parquet", ".txt": "text"}
BATCH = 64  # rows of a Parquet file held at once


def corpus_files(source: str) -> list[Path]:
    """The files of a local corpus: the file itself, or every file of a folder with a known ending, by name.

    Raises:
        UserError: none, or endings that do not agree.
    """
    path = Path(source)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in KINDS)
    endings = {file.suffix for file in files}
    if not files or not endings <= set(KINDS):
        raise UserError(f"corpus {source}: no documents there; readable are files ending in {', '.join(KINDS)}")
    if len({KINDS[ending] for ending in endings}) > 1:
        raise UserError(f"corpus {source}: files of several kinds ({', '.join(sorted(endings))}); keep one kind")
    return files


def read_documents(corpus: str, spec: dict[str, Any]) -> Iterator[str]:
    """Texts of the documents of a local ``corpus``, as :func:`texts_of`.

    Args:
        corpus: its name, for error lines.
        spec: ``source``, ``text_field`` of the config.

    Raises:
        UserError: as :func:`texts_of`.
    """
    plain = corpus_files(spec["source"])[0].suffix == ".txt"
    return texts_of(
        corpus, spec["source"], "text" if plain else spec["text_field"], _local_rows(corpus, spec["source"])
    )


def documents_of_corpus(corpus: dict[str, Any], text_field: str, fetched: str | None) -> Iterator[str]:
    """The texts of a corpus, where they are now.

    Args:
        corpus: record from :func:`layerscope.fetch.corpora.resolve_corpus`.
        text_field: of a local corpus.
        fetched: JSON Lines file with the documents of a hub data set; None for a local corpus.

    Raises:
        UserError: as :func:`texts_of`, or the fetched file is not what was written.
    """
    if fetched:
        check_seal(fetched)
    documents = {"source": fetched, "text_field": "text"} if fetched else {**corpus, "text_field": text_field}
    return read_documents(corpus["name"], documents)


def texts_of(corpus: str, source: str, field: str, rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Texts of documents in their order; documents without text are passed over.

    Args:
        corpus: its name, for error lines.
        source: likewise.
        field: the field of each row that holds the text.
        rows: the documents.

    Raises:
        UserError: the rows cannot be read, have no such field, or a text is not a string.
    """
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
                f"corpus {corpus}: {source} cannot be read after {number} documents: {_root(error)}"
            ) from error
        if field not in row:
            raise UserError(
                f"corpus {corpus}: document {number} has no field '{field}'; it has {_fields(row)} "
                f"(set corpora.{corpus}.text_field)"
            )
        text = row[field]
        if not isinstance(text, str):
            raise UserError(
                f"corpus {corpus}: field '{field}' of document {number} holds {type(text).__name__}, not text"
            )
        if not text.isascii():
            _check_characters(corpus, field, number, text)
        number += 1
        if text:
            yield text


def _fields(row: dict[str, Any]) -> str:
    """The fields of a document, not more than a line holds."""
    text = ", ".join(map(str, row))
    return text if len(text) <= 200 else text[:197] + "..."


def _check_characters(corpus: str, field: str, number: int, text: str) -> None:
    r"""JSON can hold halves of characters, such as \ud800, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"corpus {corpus}: field '{field}' of document {number} holds {text[error.start]!a}, half of a surrogate "
            "pair and no character; remove it"
        ) from None


def _local_rows(corpus: str, source: str) -> Iterator[dict[str, Any]]:
    """Documents of local files.

    Not by the datasets library: its JSON reader turns a text that looks like a date into one.
    """
    for file in corpus_files(source):
        try:
            for row in READERS[file.suffix](file):
                if not isinstance(row, dict):
                    raise ValueError(f"a document is {type(row).__name__}, not a JSON object")
                yield row
        except (OSError, ValueError) as error:  # also of JSON, UTF-8 and Parquet
            raise UserError(f"corpus {corpus}: {file} cannot be read: {_root(error)}") from error


def _jsonl_rows(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8-sig", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    reason = error.msg.removesuffix(" at")
                    raise ValueError(f"line {number}, column {error.colno}, is not valid JSON: {reason}") from None


def _json_rows(file: Path) -> Iterator[Any]:
    rows = json.loads(file.read_text(encoding="utf-8-sig") or "[]")
    yield from rows if isinstance(rows, list) else [rows]


def _text_rows(file: Path) -> Iterator[Any]:
    yield {"text": file.read_text(encoding="utf-8-sig")}


def parquet_rows(files: Iterable[BinaryIO], field: str | None = None) -> Iterator[dict[str, Any]]:
    """Rows of Parquet files, of whose columns only ``field`` is read where they have it.

    Not by the datasets library: the threads of its reader outlive it, and now and then one of them aborts Python when
    the job ends (https://github.com/apache/arrow/issues/45214).
    """
    from pyarrow.parquet import ParquetFile

    for file in files:
        with file, ParquetFile(file) as parquet:
            columns = [field] if field in parquet.schema_arrow.names else None
            for batch in parquet.iter_batches(BATCH, columns=columns, use_threads=False):
                yield from batch.to_pylist()


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": lambda file: parquet_rows([file.open("rb")]),
    ".txt": _text_rows,
}


def _root(error: BaseException) -> str:
    """The innermost cause of an error, as one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
