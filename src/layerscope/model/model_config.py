"""The config.json of a model, checked against what the study's configuration says of the model."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from layerscope.io.errors import UserError
from layerscope.model.architecture import COMMON, HEAD, KEY_VALUE_HEADS, WINDOWS, Architecture, count
from layerscope.model.architectures import ARCHITECTURES, architecture_of


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


def architecture(name: str, model_config: dict[str, Any]) -> Architecture:
    """The architecture of a model.

    Raises:
        UserError: it is not supported, or this variant of it is not.
    """
    found = architecture_of(model_config.get("model_type"), name)
    found.check_variant(name, model_config)
    return found


def check_layers(name: str, layers: int, model_config: dict[str, Any]) -> None:
    """Check the declared number of layers against a model's own configuration.

    Raises:
        UserError: they disagree, or the model names no number.
    """
    found = architecture(name, model_config).layers(name, model_config)
    if found != layers:
        raise UserError(f"config: models.{name}.layers: {layers} is not what the model has; write layers: {found}")


def check_sites(key: str, name: str, sites: Iterable[str], model_config: dict[str, Any]) -> None:
    """Check that a model has all ``sites``.

    Args:
        key: what asks for them, for the line of an error.

    Raises:
        UserError: it lacks one: those of gated MLPs.
    """
    has = architecture(name, model_config).sites
    if site := next((site for site in sites if site not in has), None):
        raise UserError(
            f"{key}: '{site}' is no site of {name}: the MLP of architecture {model_config['model_type']} has no gate; "
            "name mlp_pre or mlp_post, which it has"
        )


def check_positions(name: str, sequence_length: int, model_config: dict[str, Any]) -> None:
    """Check the sequence length against the number of positions of a model.

    Raises:
        UserError: the sequences are too long.
    """
    positions = architecture(name, model_config).positions(name, model_config)
    if positions is not None and sequence_length > positions:
        raise UserError(
            f"config: sampling.sequence_length: {sequence_length} is longer than the {positions} positions "
            f"of {name}; allowed are 2 to {positions}"
        )


def check_counts(name: str, model_config: dict[str, Any]) -> None:
    """Check the sizes that transformers and the estimate of space take from a model's configuration.

    By every architecture's name for them, because transformers reads most of them by several.

    Raises:
        UserError: one of them is no count.
    """
    for names in (COMMON, *(of.names for of in ARCHITECTURES.values())):
        for key in (names.hidden, names.heads, names.inner):
            count(name, model_config, key)
    for key in (KEY_VALUE_HEADS, HEAD, *WINDOWS):
        count(name, model_config, key)


def check_vocabulary(name: str, tokenizer: str, largest: int, model_config: dict[str, Any]) -> None:
    """Check the largest token id of a tokenizer against the vocabulary of a model.

    Raises:
        UserError: the tokenizer is of another model, or the model names no vocabulary.
    """
    size = architecture(name, model_config).vocabulary(name, model_config)
    if largest >= size:
        raise UserError(
            f"config: models.{name}.tokenizer: '{tokenizer}' has token ids up to {largest}, beyond the model's "
            f"vocabulary of {size}; name the tokenizer it was trained with"
        )
