"""The user's tables of token properties: a number per token type and column, by token id or by the token's text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError, memory_ran_out
from layerscope.tokenize.property_names import KEYS, OF_EVERY_TOKENIZER

KINDS = (".csv", ".parquet")


def read_property_table(path: str, place: str, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a table of properties, float64, indexed by token id or by text; the index has that name.

    Args:
        path: CSV with a header, or Parquet.
        place: its key in the config and its path, for error lines.

    Raises:
        UserError: the file cannot be read; it has both or neither of ``id`` and ``token``; it lacks a column; ids are
            not whole numbers; a token has two rows; a value is not a number. An empty field is no value.
    """
    table = _read(path, place)
    key = _key(list(table.columns), place)
    for name in columns:
        if name not in table:
            has = ", ".join(str(column) for column in table.columns if column != key)
            raise UserError(f"{place} has no column '{name}'; it has {has or 'none'}"[:500])
    index = _ids(table[key], place) if key == "id" else _texts(table[key], place)
    if index.has_duplicates:
        raise UserError(f"{place}: the {key} '{index[index.duplicated()][0]}' has more than one row; keep one")
    return pd.DataFrame({name: _numbers(table[name], place) for name in columns}).set_index(index)


def values_of_types(table: pd.DataFrame, name: str, types: pd.DataFrame, needed: np.ndarray, place: str) -> np.ndarray:
    """A property of each token type, [types], float64; 0 for types that have no number and need none.

    Args:
        table: of :func:`read_property_table`.
        types: table of :mod:`layerscope.tokenize.vocabulary`, or of :mod:`layerscope.tokenize.frequency`.
        needed: [types], bool: which need a number.
        place: the key and the file, for error lines.

    Raises:
        UserError: a type lacks a number that it needs, or shares its text with another one that does; an id is beyond
            the vocabulary.
    """
    if table.index.name == "id":
        if len(table) and table.index.max() >= len(types):
            raise UserError(f"{place}: the id {table.index.max()} is not in a vocabulary of {len(types):,} tokens")
        values = table[name].reindex(range(len(types))).to_numpy()
    else:
        _check_texts(types["text"][needed], place)
        values = table[name].reindex(types["text"]).to_numpy()
    lacking = np.flatnonzero(needed & ~np.isfinite(values))
    if len(lacking):
        example = f"the id {lacking[0]}" + (f" ('{types['text'][lacking[0]]}')" if "text" in types else "")
        raise UserError(
            f"{place}: column '{name}' has no finite number for {len(lacking):,} of the {np.count_nonzero(needed):,} "
            f"token types that occur, such as {example}; add them"
        )
    return np.where(np.isfinite(values), values, 0)


def _read(path: str, place: str) -> pd.DataFrame:
    """The table; of a CSV file all fields as text, as they are."""
    if Path(path).suffix not in KINDS:
        raise UserError(f"{place} is neither CSV nor Parquet; name a file that ends in {' or '.join(KINDS)}")
    try:
        if Path(path).suffix == ".parquet":
            return pd.read_parquet(path)
        with Path(path).open("rb") as file:
            # A carriage return within a line is a token, which pandas writes without quotes.
            ending = None if file.readline().endswith(b"\r\n") else "\n"
        # The header is read as a row, since pandas would rename a column that is there twice.
        rows = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig", lineterminator=ending
        )
    except Exception as error:  # pandas and pyarrow raise half a dozen kinds
        if memory_ran_out(error):
            raise
        raise UserError(f"{place} cannot be read: {type(error).__name__}: {' '.join(str(error).split())}") from error
    return rows[1:].reset_index(drop=True).set_axis(rows.iloc[0], axis=1)


def _key(columns: list[str], place: str) -> str:
    """The column that says which token type a row is of."""
    keys = [name for name in KEYS if name in columns]
    if len(keys) != 1:
        found = "both an id and a token column; keep one" if keys else "neither an id nor a token column; add one"
        raise UserError(f"{place} has {found}")
    if taken := [name for name in OF_EVERY_TOKENIZER if name in columns]:
        raise UserError(f"{place}: the column '{taken[0]}' has the name of a property of every tokenizer; rename it")
    if repeated := [name for name in columns if columns.count(name) > 1]:
        raise UserError(f"{place} has more than one column '{repeated[0]}'; keep one")
    return keys[0]


def _ids(column: pd.Series, place: str) -> pd.Index:
    ids = pd.to_numeric(column, errors="coerce")
    wrong = ~((ids >= 0) & (ids % 1 == 0))
    if wrong.any():
        raise UserError(f"{place}: '{column[wrong].iloc[0]}' in row {_row(wrong)} is not a token id, 0 or more")
    return pd.Index(ids.astype(np.int64), name="id")


def _texts(column: pd.Series, place: str) -> pd.Index:
    wrong = ~column.map(lambda text: isinstance(text, str) and text != "")
    if wrong.any():
        raise UserError(f"{place}: row {_row(wrong)} has no text in its column token")
    return pd.Index(column, name="token")


def _numbers(column: pd.Series, place: str) -> np.ndarray:
    """float64; NaN where a field is empty."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & ~column.isna() & ~column.astype(str).str.strip().str.lower().isin(["", "nan"])
    if wrong.any():
        raise UserError(
            f"{place}: column '{column.name}' has '{column[wrong].iloc[0]}' in row {_row(wrong)}, not a number"
        )
    return numbers.to_numpy(np.float64)


def _row(wrong: pd.Series) -> int:
    """Number of the first row that is wrong, from 1, without the header."""
    return int(np.flatnonzero(wrong)[0]) + 1


def _check_texts(texts: pd.Series, place: str) -> None:
    """Check that no two of the types that need a number have the same text."""
    twice = texts[texts.duplicated(keep=False)]
    if len(twice):
        same = twice[twice == twice.iloc[0]].index
        raise UserError(
            f"{place}: '{twice.iloc[0]}' is the text of the tokens {same[0]} and {same[1]}; name tokens by their ids, "
            "in a column id"
        )
