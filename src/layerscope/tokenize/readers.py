"""Readers of documents: the rows of a file as dictionaries of their fields, a few in memory at a time."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

KINDS = {".jsonl": "JSON", ".json": "JSON", ".parquet": "Parquet", ".txt": "text", ".csv": "CSV", ".tsv": "TSV"}
LARGEST = 100_000_000  # characters of a document; encoding takes a hundred bytes per character
BATCH = 64  # rows of a Parquet file held at once,
BATCH_BYTES = 250_000_000  # or fewer, if they could be this long together
UNFOLDED = 32_000_000  # bytes from which a row group that was compressed 1000-fold is not text


class TooLargeError(Exception):
    """A document is too large to be read; in the message, it is the subject of the sentence."""


def too_large(size: int, unit: str = "characters") -> str:
    """The message for a document of ``size``."""
    return f"has {size:,} {unit}; at most {LARGEST:,} are read at once; split it"


def _lines(file: TextIO) -> Iterator[str]:
    """Lines of a file, their ends included."""
    while line := file.readline(LARGEST + 1):
        if len(line) > LARGEST:
            raise TooLargeError(f"has a line of more than {LARGEST:,} characters, the most that is read at once")
        yield line


def _jsonl_rows(file: Path, field: str) -> Iterator[Any]:
    with file.open(encoding="utf-8-sig", newline="\n") as lines:
        for number, line in enumerate(_lines(lines), start=1):
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    reason = error.msg.removesuffix(" at")
                    raise ValueError(f"line {number}, column {error.colno}, is not valid JSON: {reason}") from None


def _json_rows(file: Path, field: str) -> Iterator[Any]:
    rows = json.loads(file.read_text(encoding="utf-8-sig") or "[]")
    yield from rows if isinstance(rows, list) else [rows]


def _text_rows(file: Path, field: str) -> Iterator[Any]:
    if (size := file.stat().st_size) > LARGEST:
        raise TooLargeError(too_large(size, "bytes"))
    yield {"text": file.read_text(encoding="utf-8-sig")}


def _delimited_rows(file: Path, field: str) -> Iterator[dict[str, str]]:
    """Rows of a CSV or TSV file with a header; a field in quotes may hold delimiters, line ends and doubled quotes."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = _delimited_fields(lines, KINDS[file.suffix])
        _, header = next(rows, (1, []))
        if header.count(field) > 1:
            raise ValueError(f"its header has the field '{field}' {header.count(field)} times")
        for line, row in rows:
            if len(row) != len(header):
                raise ValueError(f"the row in line {line} has {len(row)} fields, and the header has {len(header)}")
            yield dict(zip(header, row, strict=True))


def _delimited_fields(lines: TextIO, kind: str) -> Iterator[tuple[int, list[str]]]:
    """The line in which each row begins, and its fields; blank lines are passed over."""
    csv.field_size_limit(LARGEST)
    rows = csv.reader(_lines(lines), delimiter="\t" if kind == "TSV" else ",", strict=True)
    line = 1
    try:
        for row in rows:
            if row:
                yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise TooLargeError(
                f"has a field of more than {LARGEST:,} characters, the most that is read at once"
            ) from None
        raise ValueError(f"the row in line {line} is not valid {kind}: {error}") from None


def parquet_rows(files: Iterable[BinaryIO], field: str, first: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of Parquet files, with ``field`` alone; of a file without it, one row with the names of its columns.

    The rows before number ``first`` are passed over; of a row group that they fill, nothing is read.

    Not by the datasets library: the threads of its reader outlive it, and now and then one of them aborts Python when
    the job ends (https://github.com/apache/arrow/issues/45214).

    Raises:
        TooLargeError: a row group decompresses to far more than text would.
    """
    from pyarrow.parquet import ParquetFile

    for file in files:
        with file, ParquetFile(file) as parquet:
            if field not in parquet.schema_arrow.names:
                yield from [dict.fromkeys(parquet.schema_arrow.names)] * min(1, parquet.metadata.num_rows)
                continue
            for number in range(parquet.num_row_groups):
                group = parquet.metadata.row_group(number)
                if first >= group.num_rows:
                    first -= group.num_rows
                    continue
                rows = _rows_at_once(group, field)
                for batch in parquet.iter_batches(rows, row_groups=[number], columns=[field], use_threads=False):
                    yield from batch.slice(min(first, batch.num_rows)).to_pylist()
                    first = max(0, first - batch.num_rows)


def _rows_at_once(group: Any, field: str) -> int:
    """How many rows of a row group are held at once.

    A value that many rows share is stored once, so the size of the group bounds that of a row, not that of all rows.
    """
    columns = [group.column(number) for number in range(group.num_columns)]
    columns = [column for column in columns if f"{column.path_in_schema}.".startswith(f"{field}.")]
    size = sum(column.total_uncompressed_size for column in columns)
    stored = sum(column.total_compressed_size for column in columns)
    if size > max(UNFOLDED, 1000 * stored):
        raise TooLargeError(
            f"is in a row group of {group.num_rows} that decompresses from {stored:,} bytes to {size:,}, which no text "
            "does; write the file again from its source"
        )
    return max(1, min(BATCH, BATCH_BYTES // max(1, size)))


READERS: dict[str, Callable[[Path, str], Iterator[Any]]] = {
    ".jsonl": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": lambda file, field: parquet_rows([file.open("rb")], field),
    ".txt": _text_rows,
    ".csv": _delimited_rows,
    ".tsv": _delimited_rows,
}
