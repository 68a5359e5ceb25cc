"""Sources of models, tokenizers and corpora: local paths or hub ids, and what a model says of itself."""

import json
import os
import re
from pathlib import Path
from typing import Any

from layerscope.io.errors import UserError

# All that a tokenizer is read from.
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
# No hub id ends like a file of documents: such a path that does not exist is a mistake, not a hub id.
DOCUMENTS = (".json", ".jsonl", ".parquet", ".txt", ".csv", ".tsv")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")

# Sizes of a model, by the names that the architectures have for them.
SIZES = (
    *("hidden_size", "n_embd"),
    *("num_heads", "n_head", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("intermediate_size", "n_inner"),
    *("window_size", "sliding_window"),
)


def is_local(source: str) -> bool:
    """Whether a source is a path on this machine; anything else must be a hub id."""
    return Path(source).exists() or source.endswith(DOCUMENTS) or not HUB_ID.match(source)


def read_model_config(folder: str | Path) -> dict[str, Any]:
    """The config.json of a model folder.

    Raises:
        UserError: it is missing or not a JSON object.
    """
    path = Path(folder) / "config.json"
    try:
        model_config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"model folder {folder}: no config.json in it; a transformers model folder has one") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(model_config, dict):
        raise UserError(f"{path}: holds {type(model_config).__name__}, not the JSON object of a transformers model")
    return model_config


def layers_of(name: str, model_config: dict[str, Any]) -> int:
    """How many layers a model has.

    Raises:
        UserError: it does not say.
    """
    found = _count(name, model_config, "num_layers", "n_layer", "num_hidden_layers")
    if found is None:
        raise UserError(f"config: models.{name}.source: its config.json names no number of layers (num_hidden_layers)")
    return found


def check_layers(name: str, layers: int, model_config: dict[str, Any]) -> None:
    """Check the declared number of layers against a model's own configuration.

    Raises:
        UserError: they disagree, or the model says of no number.
    """
    found = layers_of(name, model_config)
    if found != layers:
        raise UserError(f"config: models.{name}.layers: {layers} is not what the model has; write layers: {found}")


def check_positions(name: str, sequence_length: int, model_config: dict[str, Any]) -> None:
    """Check the sequence length against the number of positions of a model.

    Raises:
        UserError: the sequences are too long.
    """
    positions = positions_of(name, model_config)
    if positions is not None and sequence_length > positions:
        raise UserError(
            f"config: sampling.sequence_length: {sequence_length} is longer than the {positions} positions "
            f"of {name}; allowed are 2 to {positions}"
        )


def positions_of(name: str, model_config: dict[str, Any]) -> int | None:
    """How many tokens a model takes at most; None where it says of no limit."""
    return _count(name, model_config, "max_position_embeddings", "n_positions")


def vocabulary_of(name: str, model_config: dict[str, Any]) -> int:
    """How many tokens a model knows.

    Raises:
        UserError: it does not say.
    """
    size = _count(name, model_config, "vocab_size")
    if size is None:
        raise UserError(f"config: models.{name}.source: its config.json names no vocab_size")
    return size


def check_counts(name: str, model_config: dict[str, Any]) -> None:
    """Check the sizes that transformers and the estimate of space take from a model's configuration.

    Raises:
        UserError: one of them is no count.
    """
    for key in SIZES:
        _count(name, model_config, key)


def check_vocabulary(name: str, tokenizer: str, largest: int, model_config: dict[str, Any]) -> None:
    """Check the largest token id of a tokenizer against the vocabulary of a model.

    Raises:
        UserError: the tokenizer is of another model, or the model names no vocabulary.
    """
    size = vocabulary_of(name, model_config)
    if largest >= size:
        raise UserError(
            f"config: models.{name}.tokenizer: '{tokenizer}' has token ids up to {largest}, beyond the model's "
            f"vocabulary of {size}; name the tokenizer it was trained with"
        )


def check_tokenizer(name: str, source: str, folder: Path) -> None:
    """Look for the one file that a tokenizer is read from.

    Raises:
        UserError: it is missing.
    """
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"tokenizers.{name}: {source} holds no tokenizer.json; a fast tokenizer is needed")


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a folder that a tokenizer is read from."""
    return [folder / file for file in TOKENIZER_FILES if os.path.lexists(folder / file)]


def _count(name: str, model_config: dict[str, Any], *keys: str) -> int | None:
    """The value of the first of ``keys`` that a config.json has; None where it has none, or null."""
    key = next((key for key in keys if key in model_config), keys[0])
    value = model_config.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(
            f"config: models.{name}.source: its config.json has {key}: {json.dumps(value)[:80]}; "
            "an integer of at least 1 is needed"
        )
    return value
