"""The types of tokens: how long each is, what kind it is, and how often it occurs."""

import numpy as np
import pandas as pd

from layerscope.tokenize.tokenizer import LoadedTokenizer

REPLACEMENT = "\ufffd"  # what a piece of a UTF-8 character decodes to


def vocabulary_table(types: pd.DataFrame, input_ids: np.ndarray) -> pd.DataFrame:
    """``types``, a table of :func:`layerscope.tokenize.frequency.frequency_table`, and ``count``, in the sample.

    Args:
        input_ids: token ids of the sample, any shape.
    """
    return types.assign(count=np.bincount(np.ravel(input_ids), minlength=len(types)))


def token_types(tokenizer: LoadedTokenizer) -> pd.DataFrame:
    """One row per token id, in order.

    Token length is the number of characters of the decoded token, leading space included (``characters``).

    Returns:
        Columns ``token_id``, ``text`` (decoded alone), ``characters``, ``characters_without_space``, ``bytes``,
        ``leading_space``, ``partial`` (a piece of a UTF-8 character), ``special``.
    """
    backend = tokenizer.backend
    ids = range(tokenizer.size)
    added = backend.get_added_tokens_decoder()
    special = {i for i, token in added.items() if token.special}
    # Some decoders drop the leading space of the first token, so each token is decoded after an anchor.
    anchor = tokenizer.encode(["a"])[0]
    skip = len(tokenizer.decode([anchor])[0])
    texts = [text[skip:] for text in tokenizer.decode([[*anchor, i] for i in ids])]
    byte_level = "ByteLevel" in repr(backend.decoder)
    table = pd.DataFrame({"token_id": np.array(ids, dtype=np.int32), "text": texts})
    table["characters"] = np.array([len(text) for text in texts], dtype=np.int32)
    table["characters_without_space"] = np.array([len(text.removeprefix(" ")) for text in texts], dtype=np.int32)
    pieces = [backend.id_to_token(i) or "" for i in ids]
    table["bytes"] = np.array(
        [
            _bytes(piece, text, byte_level and i not in added)  # added tokens are written as they are
            for i, piece, text in zip(ids, pieces, texts, strict=True)
        ],
        dtype=np.int32,
    )
    table["leading_space"] = [text.startswith(" ") for text in texts]
    table["partial"] = [REPLACEMENT in text for text in texts]
    table["special"] = [i in special for i in ids]
    return table


def takes_part(vocabulary: pd.DataFrame, input_ids: np.ndarray) -> np.ndarray:
    """Which of ``input_ids`` [tokens] take part in statistics: all but special tokens and pieces of characters.

    Args:
        vocabulary: of :func:`vocabulary_table`.

    Returns:
        [tokens], bool.
    """
    return ~(vocabulary["special"] | vocabulary["partial"]).to_numpy()[input_ids]


def _bytes(piece: str, text: str, byte_level: bool) -> int:
    if byte_level:
        return len(piece)  # a byte-level vocabulary writes every byte as one character
    if piece.startswith("<0x") and piece.endswith(">"):
        return 1  # byte fallback
    return len(text.encode())
