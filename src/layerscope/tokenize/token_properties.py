"""Properties of token types: quantities that are the same for all tokens of a type."""

from typing import TypedDict

import numpy as np
import pandas as pd

from layerscope.tokenize.property_names import of_tables
from layerscope.tokenize.property_tables import read_property_table, values_of_types


class PropertyTable(TypedDict):
    """A table of :mod:`.property_tables` for the types of a tokenizer."""

    tokenizer: str
    path: str
    digest: str


class PropertySpec(TypedDict):
    """Properties, and where those are that not every tokenizer has."""

    names: list[str]
    table: PropertyTable | None


def token_properties(spec: PropertySpec, types: pd.DataFrame, sample: np.ndarray) -> dict[str, np.ndarray]:
    """Properties of each token type, in the order of ``spec``: name → [types], float64.

    Args:
        types: table of :mod:`layerscope.tokenize.vocabulary`, or of :mod:`layerscope.tokenize.frequency`.
        sample: [types], how often each type occurs in the sample. A type needs a number of a table if it takes part in
            statistics, and occurs in the sample or among the tokens counted in the corpus.

    Raises:
        UserError: as :func:`.read_property_table` and :func:`.values_of_types`.
    """
    names, table = spec["names"], spec["table"]
    found = {name: _of_every_tokenizer(name, types) for name in names if name not in of_tables(names)}
    if columns := of_tables(names):
        assert table is not None
        needed = ~(types["special"] | types["partial"]) & ((types["corpus_count"] > 0) | (sample > 0))
        place = place_of_table(table["tokenizer"], table["path"])
        read = read_property_table(table["path"], place, columns)
        found |= {name: values_of_types(read, name, types, needed.to_numpy(), place) for name in columns}
    return {name: found[name] for name in names}


def place_of_table(tokenizer: str, path: str) -> str:
    """A table's key in the config and its path, with which error lines begin."""
    return f"tokenizers.{tokenizer}.properties: {path}"


def _of_every_tokenizer(name: str, types: pd.DataFrame) -> np.ndarray:
    if name == "log_frequency":
        return np.log1p(types["corpus_count"].to_numpy())
    return types[name].to_numpy(np.float64)
