"""Checks of the properties of token types that the config names, and of the tables that they are columns of."""

import os
from pathlib import Path

from layerscope.config.mistakes import Mistakes
from layerscope.io.errors import UserError, at
from layerscope.preflight.config import Config
from layerscope.studies.demand import Demand, tokenizers_of
from layerscope.tokenize.property_names import OF_EVERY_TOKENIZER, of_tables
from layerscope.tokenize.property_tables import read_property_table
from layerscope.tokenize.token_properties import place_of_table


def check_properties(config: Config, mistakes: Mistakes) -> None:
    """Note properties that are nowhere, and tables that cannot be used.

    Whether a table has a number for every type that occurs is known when the corpus is counted and tokenized.
    """
    wanted = _columns_of_tokenizers(config, mistakes)
    for name, tokenizer in config.tokenizers.items():
        key = f"tokenizers.{name}.properties"
        with mistakes, at(key):
            path = tokenizer.properties
            if path is not None:
                _check_file(f"config: {key}", path)
                if columns := wanted.get(name):
                    read_property_table(path, place_of_table(name, path), sorted(columns))


def _columns_of_tokenizers(config: Config, mistakes: Mistakes) -> dict[str, set[str]]:
    """Tokenizer → the columns of its table that are read."""
    wanted: dict[str, set[str]] = {}

    def note(key: str, names: list[str], demand: Demand) -> None:
        columns = of_tables(names)
        for tokenizer in tokenizers_of(demand.models) if columns else ():
            with mistakes:
                if tokenizer in config.tokenizers:
                    _check_named(key, columns[0], tokenizer, config)
                    wanted.setdefault(tokenizer, set()).update(columns)

    for study in config.chosen().values():
        with mistakes:
            note(f"studies.{study.name}.properties", study.properties, study)
    for demand in config.demands():
        with mistakes:
            if demand.summarized_sites:
                note("summaries.properties", config.summaries.properties, demand)
    return wanted


def _check_named(key: str, column: str, tokenizer: str, config: Config) -> None:
    if config.tokenizers[tokenizer].properties is None:
        raise UserError(
            f"config: {key}: '{column}' is not {', '.join(OF_EVERY_TOKENIZER[:-1])} or {OF_EVERY_TOKENIZER[-1]}, and "
            f"tokenizers.{tokenizer}.properties names no table that could have such a column"
        )


def _check_file(key: str, path: str) -> None:
    """Check that a file can be read, without opening it: a pipe would block forever."""
    if not Path(path).is_file():
        raise UserError(f"{key}: '{path}' is not a file here; name a CSV or Parquet file")
    if not os.access(path, os.R_OK):
        raise UserError(f"{key}: {path} cannot be read; check its permissions")
