"""Sources of models, tokenizers and corpora: local paths or hub ids, and what a model says of itself."""

import json
import re
from pathlib import Path
from typing import Any

from layerscope.errors import UserError

# No hub id ends like a file of documents: such a path that does not exist is a mistake, not a hub id.
DOCUMENTS = (".json", ".jsonl", ".parquet", ".txt")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")


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
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(model_config, dict):
        raise UserError(f"{path}: holds {type(model_config).__name__}, not the JSON object of a transformers model")
    return model_config


def check_layers(name: str, layers: int, model_config: dict[str, Any]) -> None:
    """Hold the declared number of layers against a model's own configuration.

    Raises:
        UserError: they disagree, or the model says of no number.
    """
    found = _first(model_config, "num_layers", "n_layer", "num_hidden_layers")
    if found is None:
        raise UserError(f"config: models.{name}.source: its config.json names no number of layers (num_hidden_layers)")
    if found != layers:
        raise UserError(f"config: models.{name}.layers: {layers} is not what the model has; write layers: {found}")


def check_positions(name: str, sequence_length: int, model_config: dict[str, Any]) -> None:
    """Hold the sequence length against the number of positions of a model.

    Raises:
        UserError: the sequences are too long.
    """
    positions = _first(model_config, "max_position_embeddings", "n_positions")
    if positions is not None and sequence_length > positions:
        raise UserError(
            f"config: sampling.sequence_length: {sequence_length} is longer than the {positions} positions "
            f"of {name}; allowed are 2 to {positions}"
        )


def _first(model_config: dict[str, Any], *keys: str) -> int | None:
    return next((model_config[key] for key in keys if key in model_config), None)
