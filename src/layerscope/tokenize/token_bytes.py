"""The bytes of token types, also of those that are pieces of a UTF-8 character and no text by themselves."""

import re

import pandas as pd
from tokenizers.pre_tokenizers import ByteLevel

from layerscope.tokenize.tokenizer import LoadedTokenizer

FALLBACK = re.compile("<0x([0-9A-F]{2})>")


def token_bytes(tokenizer: LoadedTokenizer, vocabulary: pd.DataFrame) -> list[bytes]:
    """The bytes of each token type: those of its text in UTF-8, and of a piece of a character its own.

    Such pieces come from vocabularies that write each byte as one character (byte-level), or that have ``<0xE2>`` and
    the like for bytes that no other token covers (byte fallback).

    Args:
        vocabulary: one row per token id, in order: ``text`` and ``partial``.
    """
    backend = tokenizer.backend
    byte_level, added = "ByteLevel" in repr(backend.decoder), backend.get_added_tokens_decoder()
    alphabet = byte_alphabet()

    def bytes_of(token: int, text: str, partial: bool) -> bytes:
        piece = backend.id_to_token(token) or ""
        if partial and token not in added:
            if fallback := FALLBACK.fullmatch(piece):
                return bytes.fromhex(fallback[1])
            if byte_level and alphabet.keys() >= set(piece):
                return bytes(alphabet[character] for character in piece)
        return text.encode()

    rows = zip(vocabulary["token_id"], vocabulary["text"], vocabulary["partial"], strict=True)
    return [bytes_of(*row) for row in rows]


def byte_alphabet() -> dict[str, int]:
    """Character → the byte that it stands for in byte-level vocabularies.

    Those that can be printed stand for themselves; all other bytes, in order, have characters from U+0100 on.
    """
    characters = sorted(ByteLevel.alphabet())
    own = {character: ord(character) for character in characters if ord(character) < 256}
    others = (character for character in characters if ord(character) > 255)
    return own | dict(zip(others, sorted(set(range(256)) - set(own.values())), strict=True))
