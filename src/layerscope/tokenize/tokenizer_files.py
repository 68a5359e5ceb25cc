"""Which files a tokenizer is read from."""

import os
from pathlib import Path

from layerscope.io.errors import UserError

TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]  # all that may be read


def check_tokenizer(name: str, source: str, folder: Path) -> None:
    """Look for the one file that a tokenizer cannot do without.

    Raises:
        UserError: it is missing.
    """
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"tokenizers.{name}: {source} holds no tokenizer.json; a fast tokenizer is needed")


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a folder that a tokenizer is read from."""
    return [folder / file for file in TOKENIZER_FILES if os.path.lexists(folder / file)]
