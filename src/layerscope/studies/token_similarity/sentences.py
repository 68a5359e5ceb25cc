"""Sentences that contain the target word, and the places of the target and a non-target token in each."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError
from layerscope.tokenize.tokenizer import LoadedTokenizer

TOKENS = ("target", "non_target")
# The wrong file instead of sentences must not exhaust the memory, whatever the model.
LONGEST = 100_000  # characters of a sentence
LARGEST = 10_000_000  # bytes of the file


@dataclass(frozen=True)
class Sentences:
    """Token ids of the sentences, padded on the right to one length, and the two chosen places in each."""

    rows: np.ndarray  # [sentences, tokens], int32; in a causal model no token sees the padding after it
    places: pd.DataFrame  # one row per sentence: line, target, target_pieces, non_target, and the ids of both


def read_sentences(
    path: str | Path,
    target: str,
    seed: int,
    tokenizer: LoadedTokenizer,
    model: str | None = None,
    positions: int | None = None,
) -> Sentences:
    """Find the target word in every sentence, and the tokens that cover it.

    A target that is split into several tokens is represented by the last one (``target_pieces`` counts them). The
    non-target is a random token between the first token and the target, drawn with ``seed`` and the number of the line,
    so that a sentence added at the end changes no other. It is never the first token, whose vectors are unlike all
    others.

    Args:
        path: text file, one sentence per line; blank lines are skipped.
        target: the word, without spaces around it.
        model: name of the model that will read the sentences, for error messages.
        positions: the most tokens that the model takes; None if it has no limit.

    Raises:
        UserError: the file cannot be read, is too large or has too few sentences; or a line lacks the target, has no
            token between its first and the target, or is too long. The message names the line.
    """
    found, ids = [], []
    for number, line, word in sentence_lines(path, target):
        encoding = tokenizer.encode_with_offsets(line)
        if positions is not None and len(encoding.ids) > positions:
            raise UserError(
                f"token_similarity.sentences: {path} has a sentence of {len(encoding.ids)} tokens, more than the "
                f"{positions} positions of {model}; shorten it (line {number})"
            )
        place = _place(f"{path}, line {number}", line, word, encoding.offsets)
        rng = np.random.default_rng([seed, number])
        before = place["target"] - place["target_pieces"] + 1
        place |= {"line": number, "non_target": int(rng.integers(1, before))}
        place |= {f"{token}_id": encoding.ids[place[token]] for token in TOKENS}
        found.append(place)
        ids.append(encoding.ids)
    rows = np.full((len(ids), max(map(len, ids))), tokenizer.end_of_text, dtype=np.int32)
    for row, sentence in zip(rows, ids, strict=True):
        row[: len(sentence)] = sentence
    return Sentences(rows, pd.DataFrame(found))


def sentence_lines(path: str | Path, target: str) -> list[tuple[int, str, re.Match[str]]]:
    """The sentences of a file: line number, sentence, and the match of the target in it.

    Raises:
        UserError: as :func:`read_sentences`, except for errors that need a tokenizer.
    """
    try:
        if (size := Path(path).stat().st_size) > LARGEST:
            raise UserError(
                f"token_similarity.sentences: {path} has {size:,} bytes, more than the limit of "
                f"{LARGEST:,}; name a file with one sentence per line"
            )
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"token_similarity.sentences: {path} cannot be read ({error})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST:
            raise UserError(f"{path}, line {number}: {len(line):,} characters; at most {LONGEST:,} are allowed")
        if line.strip():
            word = re.search(rf"(?<!\w){re.escape(target)}(?!\w)", line)
            if word is None:
                raise UserError(
                    f"{path}, line {number}: the target '{target}' is not in the sentence; every sentence must "
                    "contain it"
                )
            found.append((number, line, word))
    if len(found) < 3:
        raise UserError(f"token_similarity.sentences: {path} has {len(found)} sentences; at least 3 are needed")
    return found


def _place(where: str, line: str, word: re.Match[str], offsets: list[tuple[int, int]]) -> dict[str, int]:
    """Index of the target's last token in a sentence, and the number of tokens of the target."""
    target = word.group()
    # Offsets of byte-level tokenizers may include the space before the word.
    covering = [i for i, (start, end) in enumerate(offsets) if start < word.end() and end > word.start()]
    if not covering:
        raise UserError(f"{where}: the tokenizer gives no token for '{target}'; choose another tokenizer or target")
    first, last = covering[0], covering[-1]
    if line[offsets[first][0] : offsets[last][1]].strip() != target:
        raise UserError(f"{where}: the tokenizer merges '{target}' with its neighbours; reword the sentence")
    if first < 2:
        raise UserError(
            f"{where}: there is no token between the first and the target '{target}' to be the non-target; "
            "reword the sentence"
        )
    return {"target": last, "target_pieces": len(covering)}
