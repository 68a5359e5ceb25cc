"""A tokenizer of the tokenizers library, with the one special token that packing needs."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from layerscope.errors import UserError


@dataclass(frozen=True)
class LoadedTokenizer:
    backend: Tokenizer
    end_of_text: int  # token id

    @property
    def size(self) -> int:
        """Largest token id + 1; some vocabularies leave ids out."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def largest(self) -> int:
        """Largest token id that plain text gives, or the end-of-text token: a model of these tokens knows it."""
        return max([self.end_of_text, *self.backend.get_vocab(with_added_tokens=False).values()])

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens of any template."""
        return [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]


def load_tokenizer(record: dict[str, Any]) -> LoadedTokenizer:
    """Load the tokenizer of a record from :func:`layerscope.fetch.models.fetch_tokenizer`.

    Raises:
        UserError: it has no end-of-text token to put between documents, or its file is damaged.
    """
    folder = Path(record["path"])
    try:
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        reason = " ".join(str(error).split())
        raise UserError(f"tokenizers.{record['name']}: {folder}/tokenizer.json cannot be read: {reason}") from error
    # What a tokenizer.json may ask for in batches; documents are packed whole, and nothing else.
    backend.no_truncation()
    backend.no_padding()
    end_of_text = None
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if end_of_text is None and (folder / file).is_file():
            try:
                token = json.loads((folder / file).read_text(encoding="utf-8")).get("eos_token")
                text = token["content"] if isinstance(token, dict) else token
                end_of_text = backend.token_to_id(text) if text else None
            except ValueError as error:
                raise UserError(f"tokenizers.{record['name']}: {folder / file} is not valid JSON: {error}") from error
            except (AttributeError, KeyError, TypeError) as error:
                raise UserError(
                    f"tokenizers.{record['name']}: {folder / file} names no eos_token: it must be text, or an object "
                    "with its content"
                ) from error
    if end_of_text is None:
        end_of_text = backend.token_to_id("<|endoftext|>")
    if end_of_text is None:
        raise UserError(f"tokenizers.{record['name']}: no eos_token in {folder}/tokenizer_config.json; name one there")
    return LoadedTokenizer(backend, end_of_text)
