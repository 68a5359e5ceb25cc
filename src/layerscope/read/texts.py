"""Tokens of a sample as text, and the text around a token."""

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError
from layerscope.summarize.neuron_sums import AFTER, BEFORE
from layerscope.tokenize.token_shards import Tokens, read_token_shard
from layerscope.tokenize.vocabulary import takes_part


def tokens_table(tokens: Tokens, vocabulary: pd.DataFrame) -> pd.DataFrame:
    """One row per token.

    Returns:
        ``sequence``, ``position``, ``document``, ``token_id``; ``text``, the token decoded alone; ``takes_part``,
        whether it is in the statistics.
    """
    return pd.DataFrame(
        {
            "sequence": tokens.sequence,
            "position": tokens.position,
            "document": tokens.document,
            "token_id": tokens.input_ids,
            "text": vocabulary["text"].take(tokens.input_ids).array,
            "takes_part": takes_part(vocabulary, tokens.input_ids),
        }
    )


def with_surroundings(contexts: pd.DataFrame, shards: list[str], vocabulary: pd.DataFrame) -> pd.DataFrame:
    """Contexts with their text: ``document``, ``before``, ``text`` and ``after`` are added.

    Tokens are decoded one by one, so that of a character that is cut into several tokens each piece is shown as �.

    Args:
        contexts: ``sequence``, ``position`` and ``token_id`` of each.
        shards: token shards of the sample, in order.
        vocabulary: table of their token types.

    Raises:
        UserError: at these places are other tokens: the contexts are of another corpus.
    """
    _, attributes = read_token_shard(shards[0])
    per_shard, length = int(attributes["sequences"]), int(attributes["sequence_length"])
    texts = vocabulary["text"].to_numpy(dtype=object)
    sequence, position, token_id = (contexts[name].to_numpy() for name in ("sequence", "position", "token_id"))
    documents = np.full(len(contexts), -1, np.int32)
    around = np.full((len(contexts), 3), "", dtype=object)
    for shard in np.unique(sequence // per_shard):
        if shard >= len(shards):
            raise _of_another_corpus(shards[0])
        tokens, _ = read_token_shard(shards[shard])
        ids, document = (array.reshape(-1, length) for array in (tokens.input_ids, tokens.document))
        for row in np.flatnonzero(sequence // per_shard == shard):
            line, at = sequence[row] % per_shard, position[row]
            words = texts[ids[line, max(0, at - BEFORE) : at + AFTER + 1]]
            middle = min(at, BEFORE)
            around[row] = "".join(words[:middle]), words[middle], "".join(words[middle + 1 :])
            documents[row] = document[line, at]
            if ids[line, at] != token_id[row]:
                raise _of_another_corpus(shards[shard])
    added = dict(zip(("before", "text", "after"), around.T, strict=True))
    return contexts.assign(document=documents, **added)


def _of_another_corpus(shard: str) -> UserError:
    return UserError(f"{shard}: not the tokens of these contexts; choose another corpus, or finish the run")
