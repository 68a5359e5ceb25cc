"""Tables of the report: to look at, and to save."""

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from layerscope.read.tables import bytes_of

LARGE = 20_000  # bytes, from which a table is compressed


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; a reader may sort them by any column."""

    headings: list[str]
    rows: list[list[str]]

    @classmethod
    def of(cls, table: pd.DataFrame, headings: dict[str, str]) -> "Table":
        """Columns of a table under other headings; numbers with as many digits as their size asks for."""
        rows = [[_cell(value) for value in row] for row in table[list(headings)].itertuples(index=False)]
        return cls(list(headings.values()), rows)


def kept_table(kept: pd.DataFrame) -> Table:
    """What ``activations.csv`` lists."""
    headings = {"model": "model", "corpus": "corpus", "site": "site", "kept": "kept", "layers": "layers"}
    return Table.of(kept, headings | {"width": "width", "tokens": "tokens", "files": "files"})


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if pd.isna(value):
        return ""
    digits = 4 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return with_minus(f"{value:z,.{digits}f}")


def with_minus(numbers: str) -> str:
    """Numbers as text, with true minus signs (U+2212)."""
    return numbers.replace("-", "\N{MINUS SIGN}")


def listed(items: Sequence[str]) -> str:
    """Items as a sentence has them."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


@dataclass(frozen=True)
class Download:
    """A file that the page holds, so that it can be saved wherever the page is."""

    name: str  # of the file that is saved
    path: str  # of the table within the results
    what: str
    uri: str  # data URI
    size: int  # bytes of the file that is saved


def download(path: str, place: str, what: str) -> Download:
    """A CSV table as it is, or compressed if it is large.

    Args:
        place: its path within the results.

    Raises:
        UserError: the file is not what was written.
    """
    content, name, kind = bytes_of(path), place.replace("/", "-"), "text/csv"
    if len(content) > LARGE:
        # Without a date, so that the same tables give the same page.
        content, name, kind = gzip.compress(content, mtime=0), f"{name}.gz", "application/gzip"
    return Download(name, place, what, f"data:{kind};base64,{base64.b64encode(content).decode()}", len(content))
