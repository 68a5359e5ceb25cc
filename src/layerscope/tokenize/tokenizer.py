"""A tokenizer of the tokenizers library, with the one special token that packing needs."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Encoding, Tokenizer

from layerscope.io.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedTokenizer:
    backend: Tokenizer
    end_of_text: int  # token id
    place: str  # its key in the config and its file, for error lines

    @property
    def size(self) -> int:
        """Largest token id + 1; some vocabularies leave ids out."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def largest(self) -> int:
        """Largest token id that text gives, or the end-of-text token: a model of these tokens knows it."""
        added = self.backend.get_added_tokens_decoder()
        matched = [number for number, token in added.items() if not token.special]
        return max([self.end_of_text, *matched, *self.backend.get_vocab(with_added_tokens=False).values()])

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens of any template.

        Raises:
            UserError: the tokenizer fails on a text.
        """
        with _one_line(f"{self.place} cannot encode a text"):
            return [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_with_offsets(self, text: str) -> Encoding:
        """Token ids of a text, and which characters each covers; raises as :meth:`encode`."""
        with _one_line(f"{self.place} cannot encode a text"):
            return self.backend.encode(text, add_special_tokens=False)

    def decode(self, rows: list[list[int]]) -> list[str]:
        """The text of each row of token ids, special tokens included.

        Raises:
            UserError: the tokenizer fails on a row.
        """
        with _one_line(f"{self.place} cannot decode its tokens"):
            return self.backend.decode_batch(rows, skip_special_tokens=False)


def load_tokenizer(record: Mapping[str, Any]) -> LoadedTokenizer:
    """Load the tokenizer of a record from :func:`layerscope.fetch.models.fetch_tokenizer`.

    Whatever its file asks for, a text has one encoding, all of it and nothing else, and no special token comes of text.

    Raises:
        UserError: it has no end-of-text token to put between documents, or its file is damaged.
    """
    folder = Path(record["path"])
    place = f"tokenizers.{record['name']}: {folder}/tokenizer.json"
    with _one_line(f"{place} cannot be read"):
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # What a tokenizer.json may ask for in batches; documents are packed whole, and nothing else.
    backend.no_truncation()
    backend.no_padding()
    # Of the models of the library only BPE reads a setting from its file that makes encoding random.
    if dropout := getattr(backend.model, "dropout", None):
        logger.warning("%s: dropout %.3g is set to 0: a text has one encoding", place, dropout)
        backend.model.dropout = None
    end_of_text = _end_of_text(record["name"], folder, backend)
    # A token that is not special would be found in texts that contain what it is called.
    added = backend.get_added_tokens_decoder()
    if end_of_text not in added or not added[end_of_text].special:
        backend.add_special_tokens([AddedToken(backend.id_to_token(end_of_text), normalized=False, special=True)])
    backend.encode_special_tokens = True
    return LoadedTokenizer(backend, end_of_text, place)


def _end_of_text(name: str, folder: Path, backend: Tokenizer) -> int:
    """Id of the token that a tokenizer's files name as its eos_token, or else of ``<|endoftext|>``."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).is_file():
            try:
                token = json.loads((folder / file).read_text(encoding="utf-8")).get("eos_token")
                text = token["content"] if isinstance(token, dict) else token
                end_of_text = backend.token_to_id(text) if text else None
            except (ValueError, RecursionError) as error:
                raise UserError(f"tokenizers.{name}: {folder / file} is not valid JSON: {error}") from error
            except (AttributeError, KeyError, TypeError) as error:
                raise UserError(
                    f"tokenizers.{name}: {folder / file} names no eos_token: it must be text, or an object "
                    "with its content"
                ) from error
            if end_of_text is not None:
                return end_of_text
    end_of_text = backend.token_to_id("<|endoftext|>")
    if end_of_text is None:
        raise UserError(f"tokenizers.{name}: no eos_token in {folder}/tokenizer_config.json; name one there")
    return end_of_text


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turn what the tokenizers library raises into a line that begins with ``what``."""
    try:
        yield
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # plain Exception, and panics of its Rust code, which are none
        raise UserError(f"{what}: {' '.join(str(error).split())}; repair it or name another tokenizer") from error
