"""Small texts of made-up token types, activations of neurons that read them, and their summaries."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from layerscope.summarize.covariates import Covariates
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.reducer import SummaryReducer
from layerscope.summarize.summarize_shard import reducer_of
from layerscope.summarize.summary_shards import LayerSummary
from layerscope.summarize.token_sums import TokenSums
from layerscope.tokenize.token_shards import Tokens

TYPES = 60
SPECIAL, PARTIAL = 0, (1, 2)  # token ids that take part in nothing


@dataclass(frozen=True)
class Text:
    """Tokens of sequences of one length, and the table of their types."""

    types: pd.DataFrame
    tokens: Tokens
    length: int

    @property
    def sequences(self) -> int:
        return len(self.tokens) // self.length

    @property
    def keep(self) -> np.ndarray:
        """[tokens], bool: which take part."""
        return ~np.isin(self.tokens.input_ids, (SPECIAL, *PARTIAL))

    def part(self, start: int, stop: int) -> "Text":
        """The sequences ``start`` to ``stop``."""
        return Text(self.types, self.tokens.part(start * self.length, stop * self.length), self.length)


def table_of_types(seed: int, types: int = TYPES) -> pd.DataFrame:
    """Types whose counts follow Zipf's law, with ties; the last were not counted."""
    rng = np.random.default_rng(seed)
    counts = (500 / np.arange(2, types + 2)).astype(int)
    counts[-5:] = 0
    table = pd.DataFrame({"characters": rng.integers(1, 12, types), "leading_space": rng.random(types) < 0.6})
    number = np.arange(types)
    return table.assign(special=number == SPECIAL, partial=np.isin(number, PARTIAL), corpus_count=counts)


def text_of(seed: int, sequences: int, length: int, longest: int = 40, types: int = TYPES) -> Text:
    """Tokens drawn by their counts, in documents of up to ``longest`` tokens."""
    rng, table, tokens = np.random.default_rng(seed), table_of_types(seed, types), sequences * length
    shares = table["corpus_count"].to_numpy() + 1.0
    ids = rng.choice(types, tokens, p=shares / shares.sum())
    documents = np.repeat(np.arange(tokens), rng.integers(1, longest + 1, tokens))[:tokens]
    places = np.arange(tokens)
    arrays = ids, places // length, places % length, documents
    vocabulary = table.assign(count=np.bincount(ids, minlength=types))
    return Text(vocabulary, Tokens(*(array.astype(np.int32) for array in arrays)), length)


def activations(text: Text, neurons: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    """Heavy-tailed activations [tokens, neurons] of about unit scale around ``mean`` that follow type and document."""
    rng = np.random.default_rng(seed)
    of_type = rng.normal(size=(len(text.types), neurons))[text.tokens.input_ids]
    of_document = rng.normal(size=(text.tokens.document.max() + 1, neurons))[text.tokens.document]
    lengths = text.types["characters"].to_numpy()[text.tokens.input_ids, None]
    alone = rng.standard_t(4, (len(text.tokens), neurons))
    return mean + 0.5 * of_type + 0.2 * of_document + 0.05 * lengths + alone


def covariates_of(text: Text) -> Covariates:
    return Covariates.of(text.types, {"characters": text.types["characters"].to_numpy(np.float64)})


def reducer_of_text(text: Text, token_types: int, neurons: int) -> SummaryReducer:
    spec = {"site": "mlp_pre", "token_types": token_types}
    return reducer_of(spec, text.tokens, {"sequence_length": text.length}, text.types, "tiny", neurons)


def reduced(
    text: Text, values: np.ndarray, token_types: int = TYPES, batches: Iterable[int] = ()
) -> tuple[TokenSums, NeuronSums]:
    """The sums of activations [tokens, neurons], received in batches of some numbers of sequences, then the rest."""
    reducer = reducer_of_text(text, token_types, values.shape[1])
    rows = torch.from_numpy(values).unflatten(0, (-1, text.length))
    edges = [0, *(edge for edge in np.cumsum([*batches]).tolist() if edge < len(rows)), len(rows)]
    for start, stop in pairwise(edges):
        reducer.receive("mlp_pre", 3, rows[start:stop], slice(start, stop))
    tokens, layers = reducer.finish()
    assert list(layers) == [3]
    return tokens, layers[3]


def filled(text: Text, values: np.ndarray, batch: int, layers: int = 2) -> SummaryReducer:
    """A reducer that received activations [tokens, neurons], the same in some layers, in batches of sequences."""
    attributes = {"sequence_length": text.length}
    reducer = reducer_of(
        {"site": "mlp_pre", "token_types": TYPES}, text.tokens, attributes, text.types, "tiny", layers * values.shape[1]
    )
    rows = torch.from_numpy(values).unflatten(0, (-1, text.length))
    for start in range(0, len(rows), batch):
        for layer in range(layers):
            part = rows[start : start + batch]
            reducer.receive("mlp_pre", layer, part, slice(start, start + len(part)))
    return reducer


def summary_of(
    text: Text,
    values: np.ndarray,
    token_types: int = TYPES,
    cuts: Iterable[int] = (),
    batches: Iterable[int] = (),
) -> LayerSummary:
    """The merged summary of shards that end at the sequences ``cuts``, and at the last."""
    edges = [0, *sorted(cuts), text.sequences]
    shards = [
        reduced(text.part(start, stop), values[start * text.length : stop * text.length], token_types, batches)
        for start, stop in pairwise(edges)
    ]
    tokens, neurons = zip(*shards, strict=True)
    merged = TokenSums.merge(tokens)
    attributes = {"token_types": token_types, "covariates": " ".join(covariates_of(text).names)}
    return LayerSummary(attributes, merged, NeuronSums.merge(tokens, neurons, merged))
