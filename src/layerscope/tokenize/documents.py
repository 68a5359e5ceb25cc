"""Documents of a corpus, one after the other."""

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from layerscope.io.errors import UserError
from layerscope.io.records import CorpusRecord
from layerscope.tokenize.readers import KINDS, LARGEST, READERS, TooLargeError, too_large


def corpus_files(source: str) -> list[Path]:
    """The files of a local corpus: the file itself, or every file of a folder with a known ending, by name.

    Hidden files and folders are ignored: editors and notebooks keep copies of documents there.

    Raises:
        UserError: there are none, they are of several kinds, or one is not a regular file.
        OSError: a folder cannot be listed.
    """
    path = Path(source)
    files = sorted(_visible_files(path)) if path.is_dir() else [path] if path.exists() else []
    endings = {file.suffix for file in files}
    if not files or not endings <= set(KINDS):
        raise UserError(f"corpus {source}: no documents found; readable files end in {', '.join(KINDS)}")
    if len({KINDS[ending] for ending in endings}) > 1:
        raise UserError(f"corpus {source}: files of several kinds ({', '.join(sorted(endings))}); keep one kind")
    for file in files:
        if _is_special(file):
            raise UserError(f"corpus {source}: {file} is a pipe, socket or device; only regular files are read")
    return files


def _visible_files(folder: Path) -> Iterator[Path]:
    """Files with a known ending at any depth below a folder, broken links too, so that these are reported."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith(".") and Path(name).suffix in KINDS)


def _is_special(file: Path) -> bool:
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except OSError:  # said when it is opened
        return False


def read_documents(corpus: str, source: str, text_field: str, first: int = 0) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the documents of a local ``corpus``, as :func:`numbered_texts`.

    Args:
        corpus: its name, for error lines.
        first: number of the first document that is wanted; those before it are read again, and not checked.

    Raises:
        UserError: as :func:`numbered_texts`.
    """
    files = corpus_files(source)
    field = "text" if files[0].suffix == ".txt" else text_field
    rows = _local_rows(corpus, files, field)
    return numbered_texts(corpus, source, field, islice(rows, first, None), first)


def local_documents(corpus: CorpusRecord, first: int) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the documents of a local corpus from number ``first`` on.

    Args:
        corpus: record from :func:`layerscope.fetch.corpora.resolve_corpus`.

    Raises:
        UserError: as :func:`numbered_texts`.
    """
    name, source = corpus["name"], corpus["source"]
    logging.info("corpus %s: files in %s: %d", name, source, len(corpus_files(source)))
    return read_documents(name, source, corpus["text_field"], first)


def numbered_texts(
    corpus: str, source: str, field: str, rows: Iterator[dict[str, Any]], first: int
) -> Iterator[tuple[int, str]]:
    """Numbers and texts of documents in their order; documents without text have a number and are passed over.

    Args:
        corpus: its name, for error lines.
        source: likewise.
        field: the field of each row that holds the text.
        rows: the documents.
        first: number of the first of them within the corpus.

    Raises:
        UserError: the rows cannot be read, have no such field, or a text is too large or not a string.
    """
    number = first
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (UserError, MemoryError):
            raise
        except TooLargeError as error:
            raise UserError(f"corpus {corpus}: document {number} {error}") from None
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
            raise UserError(f"corpus {corpus}: field '{field}' of document {number} is {type(text).__name__}, not text")
        if len(text) > LARGEST:
            raise UserError(f"corpus {corpus}: document {number} {too_large(len(text))}")
        if not text.isascii():
            _check_characters(corpus, field, number, text)
        if text:
            yield number, text
        number += 1


def _fields(row: dict[str, Any]) -> str:
    """The fields of a document, cut to fit a line."""
    text = ", ".join(map(str, row))
    return text if len(text) <= 200 else text[:197] + "..."


def _check_characters(corpus: str, field: str, number: int, text: str) -> None:
    r"""Raise UserError for half a character, such as \ud800, which JSON can contain and no tokenizer accepts."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"corpus {corpus}: field '{field}' of document {number} contains {text[error.start]!a}, half of a "
            "surrogate pair, not a character; remove it"
        ) from None


def _local_rows(corpus: str, files: Iterable[Path], field: str) -> Iterator[dict[str, Any]]:
    """Documents of local files.

    Not read by the datasets library, whose JSON reader turns texts that look like dates into dates.
    """
    for file in files:
        try:
            for row in READERS[file.suffix](file, field):
                if not isinstance(row, dict):
                    raise ValueError(f"a document is {type(row).__name__}, not a JSON object")
                yield row
        except TooLargeError as error:
            raise TooLargeError(f"in {file} {error}") from None
        except (OSError, ValueError) as error:  # also of JSON, UTF-8 and Parquet
            raise UserError(f"corpus {corpus}: {file} cannot be read: {_root(error)}") from error


def _root(error: BaseException) -> str:
    """The innermost cause of an error, as one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
