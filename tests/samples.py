"""Simulated text, and neurons that read it."""

import numpy as np
import pandas as pd
import scipy.special

from layerscope.studies.token_length.resample_layer import LayerResamples
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summarize_shard import summary_of_values
from layerscope.summarize.summary_shards import LayerSummary
from layerscope.tokenize.token_shards import Tokens

TYPES, DOCUMENTS, TOKENS, RESAMPLES = 300, 50, 3000, 200
LENGTH = 100  # of a sequence


class Reading:
    """Tokens of some types, and summaries of neurons that read them.

    Args:
        types: [tokens].
        documents: [tokens].
        length: of each type.
        log_frequency: of each type.
        leading_space: of each type.
        sequence_length: a divisor of the number of tokens.
        token_types: how many types have a class of their own.
    """

    def __init__(
        self,
        types: np.ndarray,
        documents: np.ndarray,
        length: np.ndarray,
        log_frequency: np.ndarray,
        leading_space: np.ndarray,
        sequence_length: int,
        token_types: int = 10**6,
    ) -> None:
        self.sequence_length, self.token_types = sequence_length, token_types
        self.vocabulary = pd.DataFrame(
            {"characters": length.astype(int), "leading_space": leading_space.astype(bool), "special": False}
        ).assign(partial=False, corpus_count=np.expm1(log_frequency).round(9))
        places = np.arange(len(types))
        arrays = types, places // sequence_length, places % sequence_length, documents
        self.tokens = Tokens(*(array.astype(np.int32) for array in arrays))

    def summary(self, rows: np.ndarray) -> LayerSummary:
        """The summary of neurons [neurons, tokens], in float64."""
        values = np.ascontiguousarray(rows.T, dtype=np.float64)
        return summary_of_values(values, self.tokens, self.sequence_length, self.vocabulary, self.token_types)

    def read(self, rows: np.ndarray) -> tuple[NeuronSums, np.ndarray]:
        """What is known of neurons [neurons, tokens] all of whose activations are stored."""
        return self.summary(rows).neurons, rows

    def regressions(self, frequency_covariate: str = "spline") -> TokenRegressions:
        summary = self.summary(np.zeros((1, len(self.tokens))))
        names = summary.covariates
        return TokenRegressions(
            summary.tokens, names, self.vocabulary, self.token_types, "characters", frequency_covariate
        )

    def resamples(
        self, frequency_covariate: str = "spline", seed: int = 0, resamples: int = RESAMPLES
    ) -> LayerResamples:
        stored = StoredSample.of(self.vocabulary, self.tokens, self.token_types)
        return LayerResamples(self.regressions(frequency_covariate), stored, resamples, seed)


class Sample(Reading):
    """Tokens of types whose length falls with frequency along a curve, as in text, in documents of different sizes.

    Args:
        topics: by how much documents prefer long, or short, tokens.
    """

    def __init__(self, seed: int, topics: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        frequency = self.rng.normal(size=TYPES)
        length = 6 - 1.5 * frequency - frequency**2 + 1.5 * self.rng.normal(size=TYPES)
        length = np.round(np.clip(length, 1, 12))
        sizes = self.rng.multinomial(TOKENS - 10 * DOCUMENTS, self.rng.dirichlet(np.full(DOCUMENTS, 4))) + 10
        self.documents = np.repeat(np.arange(DOCUMENTS), sizes)
        tilts = topics * self.rng.normal(size=(DOCUMENTS, 1)) * (length - length.mean()) / length.std()
        shares = scipy.special.softmax(frequency + tilts, axis=1)
        self.types = np.concatenate([self.rng.choice(TYPES, n, p=p) for n, p in zip(sizes, shares, strict=True)])
        self.lengths = length[self.types]
        leading_space = np.arange(TYPES) % 3 == 0
        super().__init__(self.types, self.documents, length, frequency + 9, leading_space, LENGTH)
        self.covariates = pd.DataFrame(
            {
                "log_frequency": frequency[self.types],
                "leading_space": leading_space[self.types].astype(float),
                "position": np.arange(TOKENS) % float(LENGTH),
            }
        )

    @property
    def group(self) -> np.ndarray:
        """[tokens]: 0 shorter than, 1 equal to, 2 longer than the median length."""
        return StoredSample.of(self.vocabulary, self.tokens, self.token_types).group

    def noise(self, neurons: int, of_document: float = 0.3, heavy: bool = False) -> np.ndarray:
        """Activations [neurons, tokens] in which tokens of a type, and tokens of a document, are correlated."""

        def drawn(*shape: int) -> np.ndarray:
            return self.rng.standard_t(3, shape) / 3**0.5 if heavy else self.rng.normal(size=shape)

        of_type = drawn(neurons, TYPES)[:, self.types]
        return 0.6 * of_type + of_document * drawn(neurons, DOCUMENTS)[:, self.documents] + drawn(neurons, TOKENS)
