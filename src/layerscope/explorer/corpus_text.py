"""The text of the sample as the explorer stores it: the bytes of all token types, and token ids in chunks."""

from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.explorer.packed import write_script
from layerscope.tokenize.token_bytes import token_bytes
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import LoadedTokenizer

LEAST_TOKENS = 65_536  # of a chunk
PARTIAL, SPECIAL = 1, 2  # flags


def chunk_tokens(sequence_length: int) -> int:
    """Tokens of a chunk: whole sequences."""
    return -(-LEAST_TOKENS // sequence_length) * sequence_length


def write_vocabulary(path: str, tokenizer: str, loaded: LoadedTokenizer, vocabulary: pd.DataFrame) -> None:
    """Write all token types of a tokenizer.

    Args:
        path: where to.
        tokenizer: its name in the config.
        loaded: the tokenizer.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
    """
    pieces = token_bytes(loaded, vocabulary)
    flags = PARTIAL * vocabulary["partial"].to_numpy(np.uint8) + SPECIAL * vocabulary["special"].to_numpy(np.uint8)
    arrays = {
        "bytes": np.frombuffer(b"".join(pieces), np.uint8),
        "ends": np.cumsum([len(piece) for piece in pieces]).astype(np.uint32),
        "flags": flags.astype(np.uint8),
        "count": vocabulary["count"].to_numpy(np.uint32),
        "characters": vocabulary["characters"].clip(upper=255).to_numpy(np.uint8),
    }
    write_script(path, f"vocabulary/{tokenizer}", arrays)


def write_chunks(folder: str | Path, tokenizer: str, tokens: Tokens, sequence_length: int) -> None:
    """Write the tokens of the sample in chunks.

    Args:
        folder: of the chunks, which are numbered from 0.
        tokenizer: its name in the config.
        tokens: of the sample.
    """
    size = chunk_tokens(sequence_length)
    for chunk, first in enumerate(range(0, len(tokens), size)):
        part, name = tokens.part(first, first + size), f"{chunk:05d}"
        arrays = {"input_ids": part.input_ids.astype(np.uint32), "document": part.document.astype(np.uint32)}
        write_script(Path(folder) / f"{name}.js", f"tokens/{tokenizer}/{name}", arrays, {"first": first})
