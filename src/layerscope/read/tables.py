"""One table of the results, checked: ``layerscope.open``, the explorer and the report read all of theirs with this."""

from pathlib import Path

import pandas as pd

from layerscope.io.errors import UserError
from layerscope.io.files import check_seal
from layerscope.io.tables import read_csv, read_table

READERS = {".csv": read_csv, ".parquet": read_table}


def table_of(path: str | Path) -> pd.DataFrame:
    """A CSV or Parquet table, checked against its digest.

    Raises:
        UserError: it is neither, is not there, or is not what was written.
    """
    suffix = Path(path).suffix
    if suffix not in READERS:
        raise UserError(f"{path}: not a table; name a .csv or a .parquet, one of run.tables()")
    if not Path(path).is_file():
        raise UserError(f"{path}: no such table; run.tables() lists those that are there")
    return READERS[suffix](path)


def bytes_of(path: str | Path) -> bytes:
    """A CSV table as it is in its file, checked.

    Raises:
        UserError: it is not what was written.
    """
    check_seal(path)
    return Path(path).read_bytes()
